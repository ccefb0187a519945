"""In which order the channels of tensors between convolutions are computed."""
