from benchmarks.bad_bytes.yaml_cases import draw
