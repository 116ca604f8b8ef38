;; Grows a table until there is no larger one, and then a hundred million times more.
(module
  (table $table 0 funcref)
  (global $refusals (mut i32) (i32.const 0))
  (func $start
    (loop $again
      (if (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))
        (then
          (global.set $refusals (i32.add (global.get $refusals) (i32.const 1)))
          (br_if $again (i32.lt_u (global.get $refusals) (i32.const 100000000))))
        (else (br $again)))))
  (start $start))
