"""HTTP connections and libraries behind one adapter protocol; knows nothing of ClickPost."""
