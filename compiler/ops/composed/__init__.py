"""ONNX ops that are imported as other ops: import rules alone, no op of the IR."""
