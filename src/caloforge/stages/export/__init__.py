"""From a checkpoint to a model that generates without torch: ONNX graph, record, model card."""
