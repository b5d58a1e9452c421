import ArgumentParser
import InpaintingJobs

/// Where the result of one job goes.
struct OutputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The result, a PNG, JPEG or WebP file that carries the job's parameters; - for standard output. A .png keeps "
                + "what is not repainted bit for bit, with 16 bits where the image has them; so does a .webp, with 8, "
                + "unless --quality is given; a .jpg changes it a little.",
            valueName: "file.png, .jpg or .webp"),
        completion: .file())
    var output: String?

    @Flag(help: "Write over files that are there already.")
    var overwrite = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Make N pictures, with seeds that follow each other: file-1.png, file-2.png, ... (default: 1)",
            valueName: "N"),
        transform: whole(JobOutputs.counts))
    var count = 1

    func apply(to draft: inout JobDraft) {
        draft.output = output
        draft.extras.count = count
    }
}

/// How the picture is put together.
struct CompositionOptions: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Paste the kept pixels back, bit for bit (default: --paste).")
    var paste: Bool?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Blend over this many pixels inside the repainted part (default: 4; 0: a hard edge).", valueName: "N"),
        transform: whole(JobSettings.feathers))
    var feather: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Soften that edge further, as a mask does that is blurred by a Gaussian of this many pixels, and still "
                + "inside the repainted part alone; the networks see the mask as it is. --mask-grow moves the edge "
                + "outwards (default: 0).", valueName: "N"),
        transform: whole(JobSettings.maskBlurs))
    var maskBlur: Int?

    // --jpeg-quality is its name from before there were WebP files.
    @Option(
        name: [.customLong("quality"), .customLong("jpeg-quality")], parsing: .unconditional,
        help: ArgumentHelp(
            "Quality of a result that is a JPEG or WebP file, 1 to 100 (default: 95 for JPEG; WebP without it keeps all "
                + "pixels bit for bit).", valueName: "N"),
        transform: whole(JobSettings.qualities))
    var quality: Int?

    @Flag(inversion: .prefixedNo, help: "Name the job's files in the result's record (default: --paths).")
    var paths: Bool?

    func apply(to draft: inout JobDraft) {
        if let paste { draft.settings.pastesKeptPixels = paste }
        if let feather { draft.settings.feather = feather }
        if let quality { draft.settings.setQuality(quality) }
        if let maskBlur { draft.settings.maskBlur = maskBlur == 0 ? nil : maskBlur }
        if let paths { draft.extras.recordsPaths = paths }
    }
}

/// What is written beside the result.
struct ExtraOutputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Image, mask, maps, result, and what blending alone (method pilot, coherence 0) makes of the same seed, side by "
                + "side.",
            valueName: "file.png"),
        completion: .file())
    var compare: String?

    @Option(
        help: ArgumentHelp(
            "A picture per optimised timestep: what each branch, and both together, expect the result to be.",
            valueName: "folder"),
        completion: .directory)
    var preview: String?

    @Option(
        help: ArgumentHelp(
            "Latents, noise predictions and losses of every step, as safetensors.", valueName: "file"),
        completion: .file())
    var dump: String?

    func apply(to draft: inout JobDraft) {
        draft.extras.comparison = compare
        draft.extras.dump = dump
        draft.extras.preview = preview
    }
}
