;; Needs 8 MiB. Only several of them together are too much.
(module (memory 128))
