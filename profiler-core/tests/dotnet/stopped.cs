// Stops itself below calls of each kind: from its own methods and from an iterator, from a sort, which the framework has
// compiled ahead, and through a small method that keeps no frame pointer.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

// The name of a library, which a test may put in place of the one that this program was compiled with.
namespace System.Private.CoreLib
{
    class Named
    {
    }
}

namespace Trade
{
    class Shop : IComparer<int>
    {
        [DllImport("libc", EntryPoint = "gettid")]
        static extern int ThreadNumber();

        [DllImport("libc", EntryPoint = "getpid")]
        static extern int ProcessNumber();

        [DllImport("libc", EntryPoint = "kill")]
        static extern int Kill(int process, int signal);

        [DllImport("libc", EntryPoint = "write")]
        static extern IntPtr Write(int file, byte[] text, IntPtr length);

        static bool stops;

        [MethodImpl(MethodImplOptions.NoInlining)]
        static int StopHere()
        {
            if (!stops)
                return 1;
            string number = ThreadNumber().ToString() + "\n";
            var text = new byte[number.Length];
            for (int place = 0; place < text.Length; place++)
                text[place] = (byte)number[place];
            Write(2, text, (IntPtr)text.Length);
            // SIGSTOP
            return Kill(ProcessNumber(), 19) + 1;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static int Small()
        {
            return StopHere() + 1;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Compare(int one, int other)
        {
            return one.CompareTo(other) + 0 * Small();
        }

        public class Line<T>
        {
            [MethodImpl(MethodImplOptions.NoInlining)]
            public IEnumerable<int> Sorted(T shop)
            {
                var items = new int[] { 2, 1 };
                Array.Sort(items, (IComparer<int>)shop);
                yield return items[0];
            }
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static int Consume(Shop shop)
        {
            int sum = 0;
            foreach (int item in new Line<Shop>().Sorted(shop))
                sum += item;
            return sum;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static int Descend(int depth, Shop shop)
        {
            return depth > 0 ? Descend(depth - 1, shop) + 1 : Consume(shop) + 1;
        }

        static void Main()
        {
            var shop = new Shop();
            // By then what is called often was compiled for a second time.
            for (int round = 0; round < 300; round++)
            {
                Descend(5, shop);
                if (round % 100 == 0)
                    System.Threading.Thread.Sleep(200);
            }
            stops = true;
            Descend(5, shop);
        }
    }
}
