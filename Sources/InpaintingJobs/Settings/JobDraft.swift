import Failures
import PilotInpainting

/// A job as far as it has been said: by the command line, and then, in a batch, by a line of its own.
public struct JobDraft: Equatable, Sendable {
    public var image: String?
    public var mask: String?
    public var prompt: String?
    public var output: String?
    /// Everything else; what nobody has said has its default. Image, mask and prompt are those above.
    public var settings: JobSettings
    /// Where everything but the picture goes.
    public var extras = JobOutputs(picture: "")
    /// Whether the seed is one that nobody chose: drawn when the job is finished.
    public var drawsSeed = false

    /// - Parameter recorded: the job that is repeated, if one is.
    public init(model: String, repeating recorded: JobSettings? = nil) {
        settings = recorded ?? JobSettings(model: model, image: "", mask: "", prompt: "")
        // Old records say nothing of areas, and were computed whole.
        if recorded == nil { settings.area = .auto }
        image = recorded.flatMap { JobRecord.isName($0.image) ? $0.image : nil }
        mask = recorded.flatMap { JobRecord.isName($0.mask) ? $0.mask : nil }
        prompt = recorded?.prompt
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

    /// - Precondition: nothing is missing.
    public func finished() -> (settings: JobSettings, outputs: JobOutputs) {
        precondition(missing.isEmpty, "a job needs all its parts")
        var (settings, outputs) = (settings, extras)
        settings.image = image ?? ""
        settings.mask = mask ?? ""
        settings.prompt = prompt ?? ""
        outputs.picture = output ?? ""
        // Short enough to be typed again.
        if drawsSeed { settings.method.seed = UInt64(UInt32.random(in: .min ... .max)) }
        return (settings, outputs)
    }
}
