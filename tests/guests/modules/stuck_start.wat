;; Never comes to the end of its start.
(module
  (func $start (loop $again (br $again)))
  (start $start))
