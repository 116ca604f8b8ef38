;; Needs a table of four thousand million elements before it begins.
(module (table 0xffffffff funcref))
