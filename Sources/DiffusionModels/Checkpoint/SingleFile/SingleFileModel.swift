import Failures
import TensorKernels

/// A model in one safetensors file, in the layout of the original Stable Diffusion (LDM), mapped and not copied.
///
/// Such a file holds tensors alone. Their shapes tell the family, and with it configurations, scheduler and tokenizer;
/// or a folder says them, for models of other sizes.
public struct SingleFileModel: ModelFiles {
    /// What is said beside the file.
    public struct Options: Sendable {
        /// A model's folder, in which no weights need be; nil for the family's shapes.
        public var configuration: ModelFolder?
        /// What the network predicts; nil for what the file says or, if it says nothing, shows.
        public var prediction: SchedulerConfiguration.PredictionType?
        /// The folder with CLIP's merges that comes with the program.
        public var clip: String

        public init(
            configuration: ModelFolder? = nil, prediction: SchedulerConfiguration.PredictionType? = nil, clip: String
        ) {
            self.configuration = configuration
            self.prediction = prediction
            self.clip = clip
        }
    }

    public var path: String { file.path }
    /// What the network predicts, and how that is known.
    public let prediction: Prediction
    private let file: SafetensorsFile
    private let parts: SingleFileParts
    private let shapes: Shapes
    private let clip: String

    /// What says everything that no tensor says.
    private enum Shapes: Sendable {
        case family(ModelFamily, ModelArchitecture)
        case folder(ModelFolder)
    }

    /// - Throws: `Failure`: missing input if the file is not there; bad data if it is no safetensors file, has no UNet
    ///   or one that is not built, or a tensor that belongs to nothing. To find out what a network predicts it may have
    ///   to be run, and is then read and checked whole.
    public init(_ path: String, _ options: Options) throws {
        file = try SafetensorsFile(path: path)
        clip = options.clip
        if let folder = options.configuration {
            shapes = .folder(folder)
        } else {
            let family = try ModelFamily(of: file)
            shapes = .family(family, try family.requiredArchitecture(file: path))
        }
        parts = try SingleFileParts(file)
        prediction = try Self.prediction(file, parts, shapes, stated: options.prediction)
    }

    public func has(_ component: ModelFolder.Component) -> Bool { parts.components[component] != nil }

    public func uselessKeys() throws -> [String: Int] {
        try ModelFolder.Component.allCases.filter(has).reduce(into: parts.useless) { counts, component in
            counts.merge(try weights(of: component).uselessKeys, uniquingKeysWith: +)
        }
    }

    public func configurationPath(of component: ModelFolder.Component) -> String {
        switch shapes {
        case .family: path
        case .folder(let folder): folder.configurationPath(of: component)
        }
    }

    public var schedulerConfigurationPath: String {
        switch shapes {
        case .family: path
        case .folder(let folder): folder.schedulerConfigurationPath
        }
    }

    public func unetConfiguration() throws -> UNetConfiguration {
        switch shapes {
        case .family(let family, let architecture):
            var configuration = architecture.unet
            // Those that predict the velocity were trained at 768 x 768 pixels, the others at 512 x 512.
            if family == .sd2 { configuration.sampleSize = prediction.type == .velocity ? 96 : 64 }
            configuration.upcastsAttention = family == .sd2 || family == .sd2Inpainting
            return configuration
        case .folder(let folder): return try folder.unetConfiguration()
        }
    }

    public func vaeConfiguration() throws -> VAEConfiguration {
        switch shapes {
        case .family(_, let architecture): architecture.vae
        case .folder(let folder): try folder.vaeConfiguration()
        }
    }

    public func textEncoderConfiguration() throws -> TextEncoderConfiguration {
        switch shapes {
        case .family(_, let architecture): architecture.textEncoder
        case .folder(let folder): try folder.textEncoderConfiguration()
        }
    }

    public func schedulerConfiguration() throws -> SchedulerConfiguration {
        switch shapes {
        case .family(_, let architecture):
            var configuration = architecture.scheduler
            configuration.predictionType = prediction.type
            configuration.rescaleBetasZeroSNR = file.tensors["ztsnr"] != nil
            return configuration
        case .folder(let folder):
            var configuration = try folder.schedulerConfiguration()
            configuration.predictionType = prediction.type
            return configuration
        }
    }

    public var tokenizer: TokenizerSource {
        switch shapes {
        case .family(let family, _): .clip(folder: clip, paddingToken: family.paddingToken)
        case .folder(let folder): folder.tokenizer
        }
    }

    public func weights(of component: ModelFolder.Component) throws -> Checkpoint {
        guard let tensors = parts.components[component] else {
            throw Failure.badData(
                component == .vae
                    ? "\(path): has no autoencoder (first_stage_model. or vae.); give one with --vae"
                    : "\(path): has no \(component.rawValue); expected a whole checkpoint")
        }
        return Checkpoint(
            component, of: file, tensors: tensors, naming: try naming(of: component),
            expectation: expectation(component))
    }

    public var descriptionFiles: [String] {
        switch shapes {
        case .family: []
        case .folder(let folder): folder.descriptionFiles
        }
    }

    private func naming(of component: ModelFolder.Component) throws -> any TensorNaming {
        switch component {
        case .unet: LDMUNetNaming(configuration: try unetConfiguration())
        case .vae: parts.autoencoderNaming(try vaeConfiguration())
        case .textEncoder: parts.textNaming(layerCount: try textEncoderConfiguration().layerCount)
        }
    }

    private func expectation(_ component: ModelFolder.Component) -> String {
        switch shapes {
        case .family(let family, _): "of the \(component.rawValue) of \(family.name)"
        case .folder: "\(configurationPath(of: component)) describes"
        }
    }
}

extension SingleFileModel {
    private static func prediction(
        _ file: SafetensorsFile, _ parts: SingleFileParts, _ shapes: Shapes,
        stated: SchedulerConfiguration.PredictionType?
    ) throws -> Prediction {
        if let stated { return Prediction(stated, by: .option) }
        switch shapes {
        case .folder(let folder):
            return Prediction(try folder.schedulerConfiguration().predictionType, by: .configuration)
        case .family(let family, let architecture):
            if let said = try Prediction(statedBy: file) { return said }
            guard family == .sd2, let tensors = parts.components[.unet] else {
                return Prediction(.epsilon, by: .family)
            }
            let checkpoint = Checkpoint(
                .unet, of: file, tensors: tensors, naming: LDMUNetNaming(configuration: architecture.unet),
                expectation: "of the unet of \(family.name)")
            return Prediction(try probe(checkpoint, architecture.unet), by: .probe)
        }
    }

    /// Checked first: a network of which a part is missing would answer, too.
    private static func probe(
        _ checkpoint: Checkpoint, _ configuration: UNetConfiguration
    ) throws -> SchedulerConfiguration.PredictionType {
        let whole = CheckpointWeights(checkpoint)
        _ = UNetStage(configuration, weights: whole)
        try whole.finish()
        return try PredictionProbe.prediction(of: configuration) { CheckpointWeights(checkpoint, store: $0) }
    }
}
