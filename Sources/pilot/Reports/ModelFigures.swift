import DiffusionModels
import InpaintingJobs
import NeuralLayers
import TensorKernels

/// What can be said of a model without running it; `pilot model inspect --json` prints it as it is.
struct ModelFigures: Encodable {
    /// One network's checkpoint.
    struct Component: Encodable {
        let name: String
        let files: [String]
        let elementTypes: [String]
        let parameters: Int
        let bytes: Int
    }

    /// Operations of one forward pass, in 10^9 floating-point operations, as networks are compared by them.
    struct Pass: Encodable {
        let convolutions: Double
        let linear: Double
        let attention: Double
        let total: Double
        /// Those that are done: convolutions in tiles need fewer.
        let done: Double

        init(_ work: Work) {
            convolutions = work.convolutions / 1e9
            linear = work.linear / 1e9
            attention = work.attention / 1e9
            total = work.operations / 1e9
            done = work.doneOperations / 1e9
        }
    }

    /// One rung of the UNet's ladder: 10^9 operations on its way down and up, and its parameters.
    struct Rung: Encodable {
        let down: Double
        let up: Double
        let parameters: Int

        init(down: Work, up: Work) {
            self.down = down.operations / 1e9
            self.up = up.operations / 1e9
            parameters = down.parameters + up.parameters
        }
    }

    /// What the UNet needs on a rank that has one guidance branch: counted, so without what the system and the
    /// libraries take besides.
    struct Memory: Encodable {
        let elementType: String
        /// All weights, kernels of tiles as they are transformed.
        let weightBytes: Int
        /// The other convolutions' kernels once more, turned round for the gradient.
        let gradientWeightBytes: Int
        /// What the layers' pullbacks hold between a forward and a backward pass.
        let keptBytes: Int

        var forward: Int { weightBytes }
        var gradient: Int { weightBytes + gradientWeightBytes + keptBytes }
    }

    /// The folder or the file.
    let folder: String
    let architecture: String
    /// `sd1`, `sd1-inpaint`, `sd2`, `sd2-inpaint`; nil for networks of other sizes.
    let family: String?
    let prediction: String
    /// How that is known.
    let predictionSource: String
    let trainingSteps: Int
    let promptTokens: Int
    let latentFactor: Int
    let components: [Component]
    /// The names of the components of which there are no weights.
    let missing: [String]
    /// How many tensors are left out as known to be of no use, by the patterns of their names.
    let ignored: [String: Int]
    let width: Int
    let height: Int
    let unetPass: Pass
    let encodingPass: Pass
    let decodingPass: Pass
    let rungs: [Rung]
    let middle: Rung
    let memory: Memory
}

extension ModelFigures {
    /// Loads the networks as a job does, which checks every key and shape, and counts.
    ///
    /// - Throws: `Failure` naming what does not fit.
    init(_ model: ModelDescription, size: PictureSize?, elementType: ElementType) throws {
        let unet = try model.unet()
        // Without weights its costs are known all the same.
        let autoencoder =
            try model.files.has(.vae)
            ? model.autoencoder() : Autoencoder(model.vaeConfiguration, weights: RecordingWeights())
        if model.files.has(.textEncoder) { _ = try model.textEncoder() }
        _ = try model.tokenizer()
        let scheduler = try model.scheduler(warn: Console.warn).configuration
        let geometry = try model.geometry(size)
        let tokens = model.textConfiguration.maximumPositions
        let ladder = unet.work(
            height: geometry.latentHeight, width: geometry.latentWidth, tokens: tokens)

        folder = model.files.path
        architecture = Self.name(of: model.unetConfiguration)
        family = ModelFamily(model.unetConfiguration)?.rawValue
        prediction = scheduler.predictionType.rawValue
        predictionSource = model.prediction.source.rawValue
        trainingSteps = scheduler.trainingTimesteps
        promptTokens = tokens
        latentFactor = model.factor
        let present = ModelFolder.Component.allCases.filter(model.files.has)
        components = try present.map { Component(try model.files.weights(of: $0)) }
        missing = ModelFolder.Component.allCases.filter { !present.contains($0) }.map(\.rawValue)
        ignored = try model.files.uselessKeys()
        width = geometry.picture.width
        height = geometry.picture.height
        unetPass = Pass(ladder.total.done(in: elementType))
        encodingPass = Pass(autoencoder.encodingWork(height: height, width: width))
        decodingPass = Pass(autoencoder.decodingWork(height: height, width: width))
        rungs = ladder.rungs.map { Rung(down: $0.down, up: $0.up) }
        middle = Rung(down: ladder.middle, up: Work())
        memory = Memory(ladder.total, elementType)
    }

    private static func name(of unet: UNetConfiguration) -> String {
        if let family = ModelFamily(unet) { return family.name }
        let tiny: [ModelArchitecture] = [.tiny, .tinyInpainting]
        let name =
            tiny.contains { $0.unet.hasSameNetwork(as: unet) }
            ? "tiny, as pilot model init makes it" : "of Stable Diffusion's kind, in sizes of its own"
        return unet.takesMaskedImage ? "\(name), for inpainting" : name
    }
}

extension ModelFigures.Component {
    init(_ checkpoint: Checkpoint) {
        name = checkpoint.component.rawValue
        files = checkpoint.files
        elementTypes = Set(checkpoint.tensors.values.map(\.elementType.rawValue)).sorted()
        parameters = checkpoint.parameterCount
        bytes = checkpoint.byteCount
    }
}

extension ModelFigures.Memory {
    init(_ work: Work, _ elementType: ElementType) {
        self.elementType = elementType.rawValue
        let work = work.done(in: elementType)
        weightBytes = work.weightsRead * elementType.byteCount
        gradientWeightBytes = work.weightsOfGradient * elementType.byteCount
        keptBytes = Int(work.keptElements) * elementType.byteCount + Int(work.keptSums) * MemoryLayout<Float>.size
    }
}

extension ModelDescription {
    /// The sizes for a picture of `size`, or of the size that the model was trained at.
    func geometry(_ size: PictureSize?) throws -> JobGeometry {
        let side = (unetConfiguration.sampleSize ?? 64) * factor
        let picture = size ?? PictureSize(width: side, height: side)
        return try JobGeometry(photograph: picture, asked: picture, model: sizes)
    }
}
