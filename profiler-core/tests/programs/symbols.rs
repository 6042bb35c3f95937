//! Generic, inlined and nested functions.

mod shapes {
    pub trait Area {
        fn area(&self) -> u64;
    }

    impl<T: Copy + Into<u64>> Area for Vec<T> {
        #[inline(never)]
        fn area(&self) -> u64 {
            self.iter().map(|side| squared((*side).into())).sum()
        }
    }

    #[inline(always)]
    fn squared(side: u64) -> u64 {
        std::hint::black_box(side) * std::hint::black_box(side)
    }
}

fn main() {
    use shapes::Area;
    println!("{}", vec![1_u8, 2].area() + vec![3_u32].area());
}
