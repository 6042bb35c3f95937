// Has the framework work, most of whose methods are compiled ahead: it sorts, which calls the program back, parses what is
// no number, and makes garbage.
using System;
using System.Collections.Generic;
using System.Text;

namespace Framework
{
    static class Program
    {
        static void Main()
        {
            var random = new Random(1);
            long number = 0;
            while (true)
            {
                var list = new List<string>();
                for (int item = 0; item < 500; item++)
                    list.Add(random.Next().ToString());
                list.Sort((one, other) => string.CompareOrdinal(one, other));
                var lengths = new Dictionary<string, int>();
                foreach (string text in list)
                    lengths[text] = text.Length;
                var all = new StringBuilder();
                foreach (string text in lengths.Keys)
                    all.Append(text).Append(',');
                number += all.ToString().Split(',').Length;
                try
                {
                    int.Parse("x" + number);
                }
                catch (FormatException)
                {
                    number++;
                }
            }
        }
    }
}
