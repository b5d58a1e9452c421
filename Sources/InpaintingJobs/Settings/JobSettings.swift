import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting

/// Everything that decides what the result's pixels are, and nothing else; it travels in the result's file.
///
/// Threads, ranks and who else is in flight are not here: they change when a picture is done, and not what it is.
public struct JobSettings: Codable, Equatable, Sendable {
    public var model: String
    /// The folder of a single file's configurations.
    public var modelConfiguration: String?
    /// A folder or file with another autoencoder than the model's.
    public var autoencoder: String?
    /// What the network predicts, where the model does not say it, or says it wrong.
    public var prediction: SchedulerConfiguration.PredictionType?
    /// Which of the text encoder's layers gives the states, counted from the end; nil for 1, the last.
    public var clipSkip: Int?
    /// What is merged into the model's weights; nil for nothing.
    public var lora: [LoRAChoice]?
    public var image: String
    public var mask: String
    public var prompt: String
    public var negativePrompt = ""
    /// How both prompts are read; nil is `plain`, as in the records of versions that knew no other.
    public var promptSyntax: PromptSyntax? = .a1111
    /// Whether weights leave the mean of a prompt's states; nil for true.
    public var restoresPromptMean: Bool?
    /// Textual inversions; nil for none.
    public var embedding: [EmbeddingChoice]?
    public var method = PilotParameters()
    /// Black, and not white, is repainted.
    public var invertsMask = false
    /// By how many pixels of the photograph the mask grows, or, below 0, shrinks; nil for none.
    public var maskGrowth: Int?
    /// Pixels by which the edge is blurred when the kept pixels are pasted; nil for none.
    public var maskBlur: Int?
    /// The size at which the networks see the picture; nil for the image's own.
    public var size: PictureSize?
    /// What part of the photograph the networks see; nil for `whole`, as in records without it.
    public var area: PictureArea?
    /// How much they see around the hole; nil for the default.
    public var areaPadding: AreaPadding?
    /// Holes that are far apart are cut out one by one; nil for no.
    public var areaEach: Bool?
    public var pastesKeptPixels = true
    /// Pixels inside the repainted area over which original and result are blended.
    public var feather = 4
    /// Of the result's JPEG file, 1 to 100; nil for a file of another kind.
    public var jpegQuality: Int?
    /// Of the result's WebP file; nil for a file of another kind.
    public var webp: WebPCompression?
    public var computation = Computation()
    /// A file with the latent to start from.
    public var initialLatent: String?
    /// The ControlNets; nil for none.
    public var controls: [ControlSettings]?
    /// The T2I-Adapters; nil for none.
    public var t2iAdapters: [T2IAdapterSettings]?
    /// The IP-Adapters; nil for none.
    public var ipAdapters: [IPAdapterSettings]?
    /// The folder of their image encoder; nil for the one beside the first of them, or in the model.
    public var imageEncoder: String?

    public init(model: String, image: String, mask: String, prompt: String) {
        self.model = model
        self.image = image
        self.mask = mask
        self.prompt = prompt
    }

    /// What `feather` may be.
    public static let feathers = 0...1024
    /// What the quality of a JPEG or WebP file may be.
    public static let qualities = 1...100
    /// What that of a JPEG file is unless somebody says it.
    static let usualJPEGQuality = 95
    public static let maskGrowths = -1024...1024
    public static let maskBlurs = 0...256

    /// A mask that is no file but the photograph's own alpha channel; a file of that name is `./alpha`.
    public static let maskInAlpha = "alpha"
    var takesMaskFromAlpha: Bool { mask == Self.maskInAlpha }

    /// What is repainted, of a mask as it was painted.
    func mask(_ painted: GreyImage) -> BinaryMask {
        let mask = painted.binaryMask()
        return (invertsMask ? mask.inverted : mask).grown(by: maskGrowth ?? 0)
    }

    /// What kind of file the result is.
    var resultFormat: ResultFormat { webp != nil ? .webp : jpegQuality != nil ? .jpeg : .png }

    /// Of a result that changes kept pixels.
    var quality: Int? { jpegQuality ?? webp?.quality }

    /// Takes a quality that was asked for, before it is known what kind of file the result is.
    public mutating func setQuality(_ quality: Int) { (jpegQuality, webp) = (quality, .quality(quality)) }

    /// Leaves what counts in such a file.
    mutating func setFormat(_ format: ResultFormat) {
        jpegQuality = format == .jpeg ? jpegQuality ?? Self.usualJPEGQuality : nil
        webp = format == .webp ? webp ?? .lossless : nil
    }

    /// All that says which model it is.
    public var modelChoice: ModelChoice {
        var choice = ModelChoice(model)
        choice.configuration = modelConfiguration
        choice.autoencoder = autoencoder
        choice.prediction = prediction
        choice.clipSkip = clipSkip
        choice.controls = controls?.map(\.net) ?? []
        choice.t2iAdapters = t2iAdapters?.map(\.adapter) ?? []
        choice.ipAdapters = ipAdapters?.map(\.adapter) ?? []
        choice.imageEncoder = imageEncoder
        choice.lora = lora
        return choice
    }

    /// Takes an area that was chosen; what was said before of cuts goes where there are none.
    public mutating func setArea(_ area: PictureArea) {
        self.area = area
        if area == .whole { (areaPadding, areaEach) = (nil, nil) }
    }

    /// With the area decided, and nothing said that does not count: as the result's record has it.
    func decidingArea(of photograph: PictureSize, _ model: ModelSizes) -> JobSettings {
        var decided = self
        if area == .auto { decided.area = size == nil && model.isFarExceeded(by: photograph) ? .mask : nil }
        if decided.area == .whole { decided.area = nil }
        let isCut = decided.area == .mask
        decided.areaPadding = isCut ? areaPadding ?? .standard : nil
        decided.areaEach = isCut && areaEach == true ? true : nil
        return decided
    }

    /// - Throws: `Failure.usage` naming the option.
    public func validate() throws {
        do {
            try method.validate()
        } catch let failure as Failure {
            // The method knows its parameters by name; on the command line each is an option of that name.
            throw Failure(failure.kind, "--\(failure.message)")
        }
        guard !(embedding ?? []).contains(where: { $0.token?.allSatisfy(\.isWhitespace) == true }) else {
            throw Failure.usage("--embedding-token: expected a name, found nothing but white space")
        }
        if promptSyntax == .a1111 {
            _ = try PromptFragment.fragments(of: prompt, givenBy: "--prompt")
            _ = try PromptFragment.fragments(of: negativePrompt, givenBy: "--negative-prompt")
        }
        for lora in lora ?? [] { try lora.validate() }
        // A recorded size may be anything; what is too large for the model is refused once that is known.
        if let size, size.width < 1 || size.height < 1 {
            throw Failure.usage("--size: expected two positive sides, found \(size)")
        }
        for control in controls ?? [] { try control.validate() }
        for adapter in t2iAdapters ?? [] { try adapter.validate() }
        for adapter in ipAdapters ?? [] { try adapter.validate() }
        guard imageEncoder == nil || ipAdapters != nil else {
            throw Failure.usage("--image-encoder: given without --ip-adapter, to which it belongs")
        }
        let counts = [
            ("--control", controls?.count ?? 0), ("--t2i-adapter", t2iAdapters?.count ?? 0),
            ("--ip-adapter", ipAdapters?.count ?? 0),
        ]
        for (option, count) in counts where count > ActingSet.most {
            throw Failure.usage("\(option): a job has \(ActingSet.most) of them at most, found \(count)")
        }
        guard area ?? .whole != .whole || (areaPadding == nil && areaEach != true) else {
            throw Failure.usage(
                "--area whole: --area-padding and --area-each are for cuts; leave them out, or --area mask")
        }
        if let quality, !Self.qualities.contains(quality) {
            throw Failure.usage("--quality: expected 1 to 100, found \(quality)")
        }
        guard Self.feathers.contains(feather) else {
            throw Failure.usage("--feather: expected 0 to 1024 pixels, found \(feather)")
        }
        if let maskGrowth, !Self.maskGrowths.contains(maskGrowth) {
            throw Failure.usage("--mask-grow: expected -1024 to 1024 pixels, found \(maskGrowth)")
        }
        if let maskBlur, !Self.maskBlurs.contains(maskBlur) {
            throw Failure.usage("--mask-blur: expected 0 to 256 pixels, found \(maskBlur)")
        }
    }
}
