"""The broker's web page: server-rendered, no build step, nothing from third parties. See docs/web-page.md."""
