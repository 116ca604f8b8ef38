;; Grows a table to 90,000 elements, of 8 bytes each in its host, and crashes where it
;; is refused.
(module
  (table $table 0 funcref)
  (func $start
    (loop $again
      (if (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))
        (then (unreachable)))
      (br_if $again (i32.lt_u (table.size $table) (i32.const 90000)))))
  (start $start))
