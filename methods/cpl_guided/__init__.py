"""CPL with guided routing: an extension of CPL by this project, and not part of the paper."""
