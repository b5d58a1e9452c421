/// The part of `pilot inpaint --help` that teaches.
enum InpaintHelp {
    // Examples stay below 80 columns, beyond which the help's own wrapping would break them.
    static let discussion = """
        The method is PILOT (arXiv 2407.08019). In the first steps it moves the latent down the gradient of a loss, so \
        that the kept part stays the photograph and the prompt acts on the repainted part alone; in the last steps it \
        blends the photograph in. --coherence (gamma) says where one ends and the other begins: 0 only blends, which \
        is fast and may leave a picture within the picture; 1 optimises all the way, which fits best and takes \
        longest; 0.5 is the paper's advice.

        On one rank, with the small model of drawn scenes that comes with the program, in the folder of its sources:
          pilot inpaint --image examples/meadow.png \\
              --mask examples/meadow-mask.png \\
              --prompt "a blue ball" --output ball.png

        A photograph wants a larger model. On two ranks, one for each branch of classifier-free guidance; on more, each \
        branch is computed in strips of rows, which is faster still:
          mpirun -np 2 --bind-to none pilot inpaint --model sd15 \\
              --image photo.jpg --mask mask.png \\
              --prompt "a red bench" --output bench.png

        Any number of ranks and threads gives the same file, byte for byte; so does, later, --from. Three \
        pictures to choose from, quickly; then the second one again, with more care:
          pilot inpaint --image examples/meadow.png \\
              --mask examples/meadow-mask.png --prompt "a blue ball" \\
              --preset fast --count 3 --output ball.png
          pilot inpaint --from ball-2.png --preset paper --output best.png

        --from looks for the recorded files from the working directory, then beside the result. What is there already is \
        written over only with --overwrite.

        Words in brackets count more or less, \\( makes a bracket text, and BREAK begins another chunk of 75 tokens; a \
        longer prompt has several. A textual inversion stands where its name is:
          pilot inpaint --model sd15 --image photo.jpg --mask mask.png \\
              --embedding cat-toy.safetensors --output toy.png \\
              --prompt "a (red:1.3) <cat-toy>, [flowers], (soft light)"

        Of a photograph far larger than what the model was trained at, a cut around the hole is computed, and put back at \
        full resolution; --area whole takes all of it, made smaller. Two far holes in one command, as a JPEG:
          pilot inpaint --model sd15 --image large.jpg --mask two-holes.png \\
              --area-each --prompt "a red bench" --output benches.jpg

        A result can be the next job's image: its record has the edits before, and --from repeats them all from the first \
        photograph, or, with --image, the last one alone.

        A photograph from one program, the result to another; all that is said goes to standard error then:
          convert photo.tif png:- | pilot inpaint --image - --mask mask.png \\
              --prompt "a red bench" --output - | display

        Presets: paper has 200 steps, optimises at every 10th, 10 gradient steps each, coherence 1; balanced has 50, \
        5, 10, 0.5; fast has 30, 3, 3, 0.4.

        Exit codes: 0 done, 64 usage, 65 bad data, 66 missing input, 70 internal error or a number that became NaN, \
        74 writing failed, 130 and 131 interrupted by Ctrl-C and Ctrl-\\.
        """
}
