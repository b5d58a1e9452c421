import ArgumentParser
import InpaintingJobs

/// Where results go, and how the picture is put together.
struct OutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The result, a PNG file that carries the job's parameters.", valueName: "file.png"))
    var output: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Make N pictures, with seeds that follow each other: file-1.png, file-2.png, ...", valueName: "N"))
    var count = 1

    @Flag(inversion: .prefixedNo, help: "Paste the kept pixels back, bit for bit (default: --paste).")
    var paste: Bool?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Blend over this many pixels inside the repainted part (default: 4; 0: a hard edge).", valueName: "N"))
    var feather: Int?

    @Option(
        help: ArgumentHelp(
            "Image, mask, result, and what blending alone (coherence 0) makes of the same seed, side by side.",
            valueName: "file.png"))
    var compare: String?

    @Option(
        help: ArgumentHelp(
            "A picture per optimised timestep: what each branch, and both together, expect the result to be.",
            valueName: "folder"))
    var preview: String?

    @Option(
        help: ArgumentHelp(
            "Latents, noise predictions and losses of every step, as safetensors.", valueName: "file"))
    var dump: String?

    func apply(to draft: inout JobDraft) {
        draft.output = output
        draft.extras.count = count
        draft.extras.comparison = compare
        draft.extras.dump = dump
        draft.extras.preview = preview
        if let paste { draft.settings.pastesKeptPixels = paste }
        if let feather { draft.settings.feather = feather }
    }
}
