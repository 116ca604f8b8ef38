;; A Preview 1 command that asks its host to wait for 7,000 things at once, over and over.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (func (export "_start")
    (loop $again
      (drop (call $poll_oneoff (i32.const 16) (i32.const 400000) (i32.const 7000) (i32.const 0)))
      (br $again))))
