//! As truth.c, with what Rust has: alpha below trait objects and recursion, beta below `sort_by`, gamma in what catches
//! a panic.
use std::hint::black_box;
use std::io::Read;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

static DONE: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

macro_rules! work {
    ($name:ident, $place:expr) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name() {
            let mut value = black_box($place as u64);
            for i in 0..black_box(200_000) {
                value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
            }
            black_box(value);
            DONE[$place].fetch_add(1, Ordering::Relaxed);
        }
    };
}
work!(alpha, 0);
work!(beta, 1);
work!(gamma_, 2);

trait Layer {
    fn down(&self, depth: usize) -> usize;
}

struct Deep(Vec<u8>);

impl Layer for Deep {
    #[inline(never)]
    fn down(&self, depth: usize) -> usize {
        let text = "x".repeat(depth % 7 + 20);
        if depth == 0 { alpha() } else { black_box(black_box(self as &dyn Layer).down(depth - 1)); }
        text.len() + self.0.len()
    }
}

fn run(seed: u64) {
    let mut state = seed;
    let layer = Deep(vec![0; 16]);
    loop {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match (state >> 33) % 10 {
            0..5 => drop(black_box(layer.down(200))),
            5..8 => {
                let mut values = black_box(vec![2, 1]);
                values.sort_by(|a: &i32, b| {
                    beta();
                    a.cmp(b)
                });
                black_box(values);
            }
            _ => {
                // Without the message that a panic of its own would print.
                if catch_unwind(|| resume_unwind(Box::new(1))).is_err() {
                    gamma_();
                }
            }
        }
    }
}

fn main() {
    for seed in 1..=2 {
        std::thread::spawn(move || run(seed));
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    for (name, done) in ["alpha", "beta", "gamma_"].iter().zip(&DONE) {
        println!("{name} {}", done.load(Ordering::Relaxed));
    }
    std::process::exit(0);
}
