// Does work in Alpha, Beta and Gamma, on two threads: Alpha below calls of its own, Beta where an iterator of a generic
// type within another one is asked, Gamma below a sort, which the framework has compiled ahead. When its input ends it says
// how many nanoseconds of CPU time each took.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;

// The name of a library, which a test may put in place of the one that this program was compiled with.
namespace System.Private.CoreLib
{
    class Named
    {
    }
}

namespace Truth
{
    interface INumber
    {
        int Next(int number);
    }

    // Without a frame of its own, where it is compiled well.
    class Twice : INumber
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Next(int number)
        {
            return Work.Once(number) + 1;
        }
    }

    class Work : IComparer<int>
    {
        const int Rounds = 3000;
        public long Alphas, Betas, Gammas;

        struct Time
        {
            public long Seconds, Nanoseconds;
        }

        [DllImport("libc", EntryPoint = "clock_gettime")]
        static extern int ClockGetTime(int clock, out Time time);

        static long Clock()
        {
            // CLOCK_THREAD_CPUTIME_ID
            ClockGetTime(3, out Time time);
            return time.Seconds * 1000000000 + time.Nanoseconds;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public static int Once(int number)
        {
            int value = number;
            for (int round = 0; round < Rounds; round++)
                value = (value * 31 + round) % 65521;
            return value;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Alpha(INumber number)
        {
            long began = Clock();
            int value = 0;
            for (int round = 0; round < 20; round++)
                value = number.Next(value);
            Alphas += Clock() - began;
            return value;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        int Beta()
        {
            long began = Clock();
            int value = 0;
            for (int round = 0; round < 20 * Rounds; round++)
                value = (value * 31 + round) % 65521;
            Betas += Clock() - began;
            return value;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        void Gamma()
        {
            long began = Clock();
            int value = 0;
            for (int round = 0; round < 20 * Rounds; round++)
                value = (value * 31 + round) % 65521;
            Gammas += Clock() - began + (value & 0);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Compare(int one, int other)
        {
            Gamma();
            return one.CompareTo(other);
        }

        public class Asks<T>
        {
            public readonly T Of;

            public Asks(T of)
            {
                Of = of;
            }

            public IEnumerable<int> Numbers(Func<T, int> next)
            {
                while (true)
                    yield return next(Of);
            }
        }

        public IEnumerator<int> Asked()
        {
            return new Asks<Work>(this).Numbers(work => work.Beta()).GetEnumerator();
        }
    }

    static class Program
    {
        const int Depth = 30;
        public static int Sink;

        [MethodImpl(MethodImplOptions.NoInlining)]
        static int Descend(Work work, int depth)
        {
            return depth > 0 ? Descend(work, depth - 1) + 1 : work.Alpha(new Twice()) + 1;
        }

        static void Run(Work work, uint seed)
        {
            IEnumerator<int> asked = work.Asked();
            while (true)
            {
                seed = seed * 1664525 + 1013904223;
                uint number = (seed >> 16) % 10;
                if (number < 5)
                    Sink = Descend(work, Depth);
                else if (number < 8)
                    asked.MoveNext();
                else
                    Array.Sort(new int[] { 2, 1 }, work);
            }
        }

        [DllImport("libc", EntryPoint = "read")]
        static extern IntPtr Read(int file, byte[] into, IntPtr length);

        [DllImport("libc", EntryPoint = "write")]
        static extern IntPtr Write(int file, byte[] text, IntPtr length);

        static void Wait()
        {
            while ((long)Read(0, new byte[1], (IntPtr)1) > 0)
            {
            }
        }

        static void Say(string text)
        {
            var bytes = new byte[text.Length];
            for (int place = 0; place < bytes.Length; place++)
                bytes[place] = (byte)text[place];
            Write(1, bytes, (IntPtr)bytes.Length);
        }

        static int Main()
        {
            var works = new List<Work> { new Work(), new Work() };
            for (int seed = 0; seed < works.Count; seed++)
            {
                Work work = works[seed];
                uint number = (uint)seed;
                new Thread(() =>
                {
                    Run(work, number);
                    // What is called last has no caller, where it is compiled well.
                    Sink = 0;
                }) { IsBackground = true }.Start();
            }
            Wait();
            long alpha = 0, beta = 0, gamma = 0;
            foreach (Work work in works)
            {
                alpha += work.Alphas;
                beta += work.Betas;
                gamma += work.Gammas;
            }
            Say("alpha " + alpha.ToString() + "\nbeta " + beta.ToString() + "\ngamma " + gamma.ToString() + "\n");
            return 0;
        }
    }
}
