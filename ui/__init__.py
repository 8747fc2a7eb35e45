"""The web page of distill-app, installed as `distill_app.ui`."""
