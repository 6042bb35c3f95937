;; What Go's runtime asks of a system, answered without one: a filter has no clock, no files and no randomness.
;;
;; Built into the component where others have an adapter to a newer WASI (`wasm-tools component new --adapt`), whose
;; imports the host would refuse. It keeps two numbers, and nothing in Go's memory.
(module
  (import "env" "memory" (memory 0))

  ;; Error numbers of WASI: 0 is success.
  (global $badf i32 (i32.const 8))
  ;; Nanoseconds since 1970. Time passes when one asks for it, and when one sleeps.
  (global $now (mut i64) (i64.const 1_000_000_000))
  ;; xorshift64: the same numbers in each instance, as a filter that is deterministic wants them.
  (global $random (mut i64) (i64.const 0x2545F4914F6CDD1D))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (global.set $now (i64.add (global.get $now) (i64.const 1_000)))
    (i64.store (local.get $time) (global.get $now))
    (i32.const 0))

  ;; A sleep is over at once: the clock moves on by the time of the first subscription, if it has one.
  (func (export "poll_oneoff")
    (param $subscriptions i32) (param $events i32) (param $count i32) (param $happened i32) (result i32)
    (if (i32.and (i32.ne (local.get $count) (i32.const 0))
                 (i32.eqz (i32.load8_u offset=8 (local.get $subscriptions))))
      (then (global.set $now
        (i64.add (global.get $now) (i64.load offset=24 (local.get $subscriptions))))))
    (i32.store (local.get $happened) (i32.const 0))
    (i32.const 0))

  (func (export "random_get") (param $to i32) (param $count i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $count)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
        (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
        (i32.store8 (local.get $to) (i32.wrap_i64 (i64.shr_u (global.get $random) (i64.const 32))))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; What is printed is taken and forgotten: lines for the log go through the filter's own import.
  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $parts))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; Neither arguments nor environment.
  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $nothing (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing))
  (export "environ_get" (func $nothing))

  ;; No file is open.
  (func (export "fd_close") (param i32) (result i32) (global.get $badf))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (global.get $badf))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (global.get $badf))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (global.get $badf))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (global.get $badf))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (global.get $badf))

  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; After a panic Go exits: the filter traps, and the host makes another instance.
  (func (export "proc_exit") (param i32) (unreachable)))
