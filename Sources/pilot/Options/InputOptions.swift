import ArgumentParser
import InpaintingJobs

/// What is painted: model, picture, mask, words.
struct InputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Stable Diffusion 1.x or 2.x model, safetensors: a folder in the diffusers layout, or a single file; or "
                + "scenes, the small model of drawn scenes that comes with the program, unless the working directory "
                + "has a model of that name (default: what the environment variable PILOT_MODEL names, else scenes).",
            valueName: "folder or file"), completion: .file())
    var model: String?

    @OptionGroup var parts: ModelOptions
    @OptionGroup var loras: LoRAOptions

    @Option(help: ArgumentHelp("The photograph, PNG, JPEG or WebP.", valueName: "file"), completion: .file())
    var image: String?

    @Option(
        help: ArgumentHelp(
            "The mask, PNG, JPEG or WebP: white is repainted, black is kept; of a file whose colours are all one, or a "
                + "photograph's, what is transparent is repainted. The word alpha: what is transparent in the photograph "
                + "itself.", valueName: "file"), completion: .file())
    var mask: String?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("What is to be seen where the mask is white.", valueName: "text"))
    var prompt: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("What is not to be seen there.", valueName: "text"))
    var negativePrompt: String?

    @OptionGroup var words: PromptOptions

    @Flag(inversion: .prefixedNo, help: "Repaint black and keep white.")
    var invertMask: Bool?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Grow what is repainted by this many of the photograph's pixels all round, or shrink it, below 0 (default: "
                + "0).", valueName: "N"), transform: whole(JobSettings.maskGrowths))
    var maskGrow: Int?

    @Option(
        help: ArgumentHelp(
            "Repeat the job that wrote this picture; options given beside it replace the recorded ones.",
            valueName: "result"),
        completion: .file(extensions: ResultFormat.allCases.flatMap(\.suffixes)))
    var from: String?

    @Option(
        help: ArgumentHelp(
            "Size at which the networks see the picture, or a cut of it; the result has the image's size in any case "
                + "(default: the image's size, rounded down to a multiple of 8, or of the model's own factor; for a "
                + "cut, and for an image of more than 4 times the pixels that the model was trained at, about as many "
                + "as those, in about its aspect).", valueName: "WxH"))
    var size: PictureSize?

    @OptionGroup var area: AreaOptions

    @Option(
        help: ArgumentHelp(
            "Start from this latent and not from the seed's noise: safetensors, tensor initial_latent [4,h,w].",
            valueName: "file"),
        completion: .file())
    var initialLatent: String?

    /// - Parameter draft: what the recorded job says, if there is one, and defaults.
    ///
    /// - Throws: `Failure.usage` for options that do not belong together.
    func apply(to draft: inout JobDraft) throws {
        if let model { draft.settings.model = model }
        parts.apply(to: &draft.settings)
        try loras.apply(to: &draft.settings)
        if let image { draft.image = image }
        if let mask { draft.mask = mask }
        if let prompt { draft.prompt = prompt }
        if let negativePrompt { draft.settings.negativePrompt = negativePrompt }
        try words.apply(to: &draft)
        if let invertMask { draft.settings.invertsMask = invertMask }
        if let maskGrow { draft.settings.maskGrowth = maskGrow == 0 ? nil : maskGrow }
        if let size { draft.settings.size = size }
        area.apply(to: &draft.settings)
        if let initialLatent { draft.settings.initialLatent = initialLatent }
    }
}

extension PictureSize: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
