;; Grows a table until it is refused, insists a million times, and takes no for an
;; answer in the end.
(module
  (table $table 0 funcref)
  (global $refusals (mut i32) (i32.const 0))
  (func $start
    (loop $again
      (if (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))
        (then
          (global.set $refusals (i32.add (global.get $refusals) (i32.const 1)))
          (br_if $again (i32.lt_u (global.get $refusals) (i32.const 1000000))))
        (else (br $again)))))
  (start $start))
