;; A Preview 1 command that writes 100,000 empty buffers to standard error, over and over.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite"
    (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 16)
  (func (export "_start")
    (loop $again
      (drop (call $fd_write (i32.const 2) (i32.const 16) (i32.const 100000) (i32.const 0)))
      (drop (call $fd_pwrite (i32.const 2) (i32.const 16) (i32.const 100000) (i64.const 0) (i32.const 0)))
      (br $again))))
