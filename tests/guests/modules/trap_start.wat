;; Crashes as it is started.
(module
  (func $start unreachable)
  (start $start))
