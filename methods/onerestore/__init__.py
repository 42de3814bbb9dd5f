"""OneRestore: a restorer that is told, or recognises, which mixture of degradations there is."""
