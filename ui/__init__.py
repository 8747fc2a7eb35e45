"""The web page of distill-app, installed as `distill_app.ui`.

Gradio and the libraries it loads report home unless they are told not to before they are imported, so importing this
package, which comes before any module in it, tells them.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
