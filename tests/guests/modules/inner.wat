;; Needs nothing, and is there hundreds of times.
(module (func (export "nothing")))
