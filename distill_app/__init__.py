"""distill-app: reasoning distillation by recipe, with an honest comparison at the end."""

__version__ = "0.1.0"
