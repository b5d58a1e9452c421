/// The part of `pilot batch --help` that teaches.
enum BatchHelp {
    // Examples stay below 80 columns, beyond which the help's own wrapping would break them.
    static let discussion = """
        Each line of the file is a job: a JSON object whose keys are the options of pilot inpaint, with _ for -. A \
        job needs image, mask, prompt and output; what a line does not say is taken from the command line. Paths are \
        as for pilot inpaint, but outputs (output, compare, dump, preview) are names inside the folder of the batch:
          {"image": "examples/meadow.png", "mask": "examples/meadow-mask.png",
           "prompt": "a blue ball", "output": "ball.png"}
        on one line each, numbers and true or false without quotes, as in:
          "seed": 7, "steps": 30, "invert_mask": true, "preset": "fast"
        Options that repeat are a list of objects:
          "embedding": [{"embedding": "cat.safetensors", "embedding_token": "cat"}]
        Model, dtype and backend are the same for the whole batch. {"from": "old.png", "output": "new.png"} repeats a \
        recorded job, without the command line's defaults.

        A file of jobs, on two ranks, with a contact sheet:
          mpirun -np 2 --bind-to none pilot batch jobs.jsonl \\
              --output out --preset fast --sheet out/sheet.png

        Another program's jobs, begun while more lines come; a JSON object for each as it ends:
          my-program | pilot batch - --output out --json

        One photograph, many wishes:
          pilot batch wishes.jsonl --output out \\
              --image examples/meadow.png --mask examples/meadow-mask.png

        An image may be another line's output, as in "image": "out/ball.png", wherever that line stands. What it needs is \
        made first; a circle is refused; when a job fails, those that paint on its result fail with it. Of lines from \
        standard input, the one that makes the image comes first. "from" repeats a recorded job alone, on its image, not \
        the edits before it.

        All lines of a file are checked before anything is computed: one that is not JSON, has an unknown key, lacks \
        one, repeats an output, or names what is not there, is told with its number, and nothing is begun; \
        --keep-going leaves only these lines out. Lines from standard input are checked as they come; without \
        --keep-going the first that can't be run is the last that is read. A job that fails is told and does not stop \
        the others.

        A picture is written as soon as it is finished, and is the same file, byte for byte, as pilot inpaint writes. \
        So a batch can be run again: what is there with the record of its job is not made again, and what is there \
        and is something else is refused unless --overwrite is given. The contact sheet is drawn anew.

        Exit codes: as for pilot inpaint; when jobs failed or were left out, that of the first of them.
        """
}
