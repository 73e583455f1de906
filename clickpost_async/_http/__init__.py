"""HTTP connections and libraries behind one adapter protocol; independent of ClickPost."""
