"""How every page looks: theme, style sheet, and the few lines of script that pages share."""

from __future__ import annotations

from typing import Any

CSS = """
.gradio-container { width: 100%; max-width: min(1400px, 100vw) !important; margin: 0 auto !important; }
.nav-holder { display: none; }
:root { --good: #166534; --bad: #b42318; --busy: #075985; --calm: #475569; }
.dark { --good: #86efac; --bad: #fca5a5; --busy: #7dd3fc; --calm: #cbd5e1; }
/* Gradio sets text in by 12 px, so that it stands beside the edge of the boxes above and below. */
.html-container { padding: 0 !important; }
#site { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; padding: 0 0 .5rem;
  border-bottom: 1px solid var(--border-color-primary); }
#site .brand { font-weight: 700; color: var(--body-text-color); margin-right: .5rem; }
#site nav { display: flex; flex-wrap: wrap; gap: .25rem; }
#site nav a { padding: .4rem .7rem; border-radius: .4rem; color: var(--body-text-color); text-decoration: none; }
#site nav a:hover { background: var(--background-fill-secondary); }
#site nav a[aria-current="page"] { background: var(--background-fill-secondary); font-weight: 600;
  box-shadow: inset 0 -2px 0 var(--busy); }
#site button { margin-left: auto; padding: .4rem .7rem; border-radius: .4rem; cursor: pointer;
  border: 1px solid var(--border-color-primary); color: var(--body-text-color); background: transparent;
  font-weight: 400; font-size: .9rem; }
a:focus-visible, button:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 2px solid var(--busy) !important; outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
.page-title { font-size: 1.4rem; font-weight: 700; margin: 0; color: var(--body-text-color); }
h2.page-title { font-size: 1.2rem; margin: .25rem 0; overflow-wrap: anywhere; }
button.label-wrap { text-align: left; }
#refresh { align-self: center; }
#inspect-facts td:last-child { overflow-wrap: anywhere; }
#inspect-before, #inspect-after { align-self: flex-end; }
.wrap-inner input, .secondary-wrap input { text-overflow: ellipsis; padding-right: 1.5rem !important; }
.table-wrap table, .table-wrap [data-testid] { font-family: var(--font) !important;
  font-variant-numeric: tabular-nums; }
.muted { color: var(--body-text-color-subdued); }
.scroll { overflow: auto; max-height: 22rem; }
.scroll table.plain th, .scroll table.plain td { border-left: 0; border-right: 0; }
table.plain { border: 0; border-collapse: collapse; width: 100%; font-size: .9rem; }
table.plain th, table.plain td { text-align: left; padding: .3rem .6rem; vertical-align: top;
  border-bottom: 1px solid var(--border-color-primary); color: var(--body-text-color); }
table.plain th { position: sticky; top: 0; background: var(--background-fill-secondary); font-weight: 600; }
table.plain td.number, table.plain th.number { text-align: right; font-variant-numeric: tabular-nums; }
table.plain td.number { white-space: nowrap; }
table.plain tr[aria-current="true"] td { background: var(--background-fill-secondary); }
table.plain a, a.plain-link { padding: 0 !important; color: var(--link-text-color); text-decoration: underline; }
.pill { display: inline-block; padding: .05rem .5rem; border-radius: 1rem; border: 1px solid currentColor;
  font-size: .85rem; font-weight: 600; white-space: nowrap; color: var(--calm); }
.pill.finished { color: var(--good); }
.pill.failed, .pill.lost { color: var(--bad); }
.pill.running { color: var(--busy); }
.stages { display: flex; flex-wrap: wrap; gap: .35rem; list-style: none; padding: 0; margin: .5rem 0; }
.stages li { border: 1px solid var(--border-color-primary); border-radius: .4rem; padding: .2rem .5rem;
  font-size: .85rem; color: var(--body-text-color); margin: 0; overflow-wrap: anywhere; }
.stages li.now { border-color: var(--busy); box-shadow: 0 0 0 1px var(--busy); font-weight: 600; }
.stages li.failed { border-color: var(--bad); }
.stages li .what { color: var(--body-text-color-subdued); font-weight: 400; }
progress { appearance: none; display: block; width: 100%; height: .7rem; margin: .35rem 0; border: 0;
  border-radius: .35rem; overflow: hidden; background: var(--border-color-primary); }
progress::-webkit-progress-bar { background: var(--border-color-primary); }
progress::-webkit-progress-value { background: var(--busy); }
progress::-moz-progress-bar { background: var(--busy); }
pre.tail { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; max-height: 20rem; overflow: auto;
  color: var(--body-text-color); background: var(--background-fill-secondary); padding: .5rem; border-radius: .4rem; }
.notice { border-left: 4px solid var(--busy); padding: .4rem .75rem; margin: .25rem 0;
  background: var(--background-fill-secondary); color: var(--body-text-color); }
.notice.bad { border-color: var(--bad); }
.js-plotly-plot .infolayer text, .js-plotly-plot .xtick text, .js-plotly-plot .ytick text {
  fill: var(--body-text-color) !important; }
@media (max-width: 700px) {
  #site nav { order: 3; width: 100%; justify-content: space-between; }
  #site nav a { padding: .4rem .5rem; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
"""

HEAD = """
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
@media (max-width: 700px) {
  .gradio-container .main.fillable { padding: .75rem !important; }
  footer .divider { display: none !important; }
}
</style>
<script>
(() => {
  const wanted = localStorage.getItem("distill-theme");
  const url = new URL(location.href);
  if (wanted && !url.searchParams.has("__theme")) {
    url.searchParams.set("__theme", wanted);
    history.replaceState(history.state, "", url);
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const next = document.body.classList.contains("dark") ? "light" : "dark";
    localStorage.setItem("distill-theme", next);
    const here = new URL(location.href);
    here.searchParams.set("__theme", next);
    location.replace(here);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.getElementById("refresh")?.click();
  });
})();
</script>
"""
"""Gradio confines `CSS` to the pages' content; what lies around it is styled here.

The theme is asked for in the address, where Gradio looks for it; code editors know one only when they are made."""


def theme() -> Any:
    """System fonts, so that nothing is fetched, and text dark enough to read on its ground."""
    import gradio as gr

    return gr.themes.Base(
        primary_hue="sky",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        button_primary_background_fill="#0369a1",
        button_primary_background_fill_hover="#075985",
        button_primary_background_fill_dark="#0369a1",
        button_primary_background_fill_hover_dark="#075985",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_300",
        button_large_text_weight="500",
        button_small_text_weight="500",
        button_secondary_text_color="*neutral_800",
        button_secondary_text_color_dark="*neutral_100",
        link_text_color="#0369a1",
        link_text_color_dark="#7dd3fc",
    )
