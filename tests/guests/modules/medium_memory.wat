;; Needs 24 MiB. Only several of them together are too much.
(module (memory 384))
