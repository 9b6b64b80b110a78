"""The catalogue of generative models: one file a model, each naming its class ``ENTRY``."""
