import DiffusionModels
import Failures
import PilotInpainting

/// A job as far as it has been said: by the command line, and then, in a batch, by a line of its own.
public struct JobDraft: Equatable, Sendable {
    public var image: String?
    public var mask: String?
    public var prompt: String?
    public var output: String?
    /// How the prompts are read, if somebody has said it.
    public var promptSyntax: PromptSyntax?
    /// Everything else; what nobody has said has its default. Image, mask and prompt are those above.
    public var settings: JobSettings
    /// Where everything but the picture goes.
    public var extras = JobOutputs(picture: "")
    /// Whether the seed is one that nobody chose: drawn when the job is finished.
    public var drawsSeed = false
    /// Whether somebody has said the learning rate, whose default depends on what the job has.
    public var saysLearningRate = false
    private let recorded: JobSettings?

    /// - Parameter recorded: the job that is repeated, if one is.
    public init(model: String, repeating recorded: JobSettings? = nil) {
        self.recorded = recorded
        settings = recorded ?? JobSettings(model: model, image: "", mask: "", prompt: "")
        // Old records say nothing of areas, and were computed whole.
        if recorded == nil { settings.area = .auto }
        image = recorded.flatMap { JobRecord.isName($0.image) ? $0.image : nil }
        mask = recorded.flatMap { JobRecord.isName($0.mask) ? $0.mask : nil }
        prompt = recorded?.prompt
        saysLearningRate = recorded != nil
    }

    /// Takes a seed that was chosen.
    public mutating func setSeed(_ seed: UInt64) {
        settings.method.seed = seed
        drawsSeed = false
    }

    /// The names of what a job can't do without and nobody has said, in the order of the options.
    public var missing: [String] {
        [("image", image), ("mask", mask), ("prompt", prompt), ("output", output)].filter { $0.1 == nil }.map(\.0)
    }

    /// Finds out whether what has been said so far makes sense.
    ///
    /// - Throws: `Failure.usage` naming the option.
    public func validate() throws {
        var settings = settings
        settings.prompt = prompt ?? ""
        settings.promptSyntax = syntax(of: settings)
        try settings.validate()
    }

    /// - Precondition: nothing is missing.
    public func finished() -> (settings: JobSettings, outputs: JobOutputs) {
        precondition(missing.isEmpty, "a job needs all its parts")
        var (settings, outputs) = (settings, extras)
        settings.image = image ?? ""
        settings.mask = mask ?? ""
        settings.prompt = prompt ?? ""
        if settings.controls != nil, !saysLearningRate { settings.method.learningRate = ControlSettings.learningRate }
        settings.promptSyntax = syntax(of: settings)
        outputs.picture = output ?? ""
        // Short enough to be typed again.
        if drawsSeed { settings.method.seed = UInt64(UInt32.random(in: .min ... .max)) }
        return (settings, outputs)
    }

    /// As somebody has said. Recorded words are read as they were; new ones as any new job's, unless the recorded ones
    /// say that brackets are text.
    private func syntax(of settings: JobSettings) -> PromptSyntax? {
        if let promptSyntax { return promptSyntax == .plain ? nil : promptSyntax }
        guard let recorded, recorded.promptSyntax == nil else { return .a1111 }
        let isOld = settings.prompt == recorded.prompt && settings.negativePrompt == recorded.negativePrompt
        let hasBrackets = ![recorded.prompt, recorded.negativePrompt].allSatisfy(PromptFragment.isPlain)
        return isOld || hasBrackets ? nil : .a1111
    }
}
