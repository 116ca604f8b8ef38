;; Needs a memory of 64-bit addresses, which would make fuel and memory
;; countless. One page, so that nothing else is wrong with it.
(module (memory i64 1))
