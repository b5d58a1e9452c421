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

    /// Operations of one forward pass, in 10^9 floating-point operations.
    struct Pass: Encodable {
        let convolutions: Double
        let linear: Double
        let attention: Double
        let total: Double

        init(_ work: Work) {
            convolutions = work.convolutions / 1e9
            linear = work.linear / 1e9
            attention = work.attention / 1e9
            total = work.operations / 1e9
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
        /// All weights.
        let weightBytes: Int
        /// The convolutions' kernels once more, turned round for the gradient.
        let gradientWeightBytes: Int
        /// What the layers' pullbacks hold between a forward and a backward pass.
        let keptBytes: Int

        var forward: Int { weightBytes }
        var gradient: Int { weightBytes + gradientWeightBytes + keptBytes }
    }

    let folder: String
    let architecture: String
    let prediction: String
    let trainingSteps: Int
    let promptTokens: Int
    let latentFactor: Int
    let components: [Component]
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
        let autoencoder = try model.autoencoder()
        _ = try model.textEncoder()
        _ = try model.tokenizer()
        let scheduler = try model.scheduler(warn: Console.warn).configuration
        let geometry = try model.geometry(size)
        let tokens = model.textConfiguration.maximumPositions
        let ladder = unet.work(
            height: geometry.latentHeight, width: geometry.latentWidth, tokens: tokens)

        folder = model.folder.path
        architecture = Self.name(of: model.unetConfiguration)
        prediction = scheduler.predictionType.rawValue
        trainingSteps = scheduler.trainingTimesteps
        promptTokens = tokens
        latentFactor = model.factor
        components = try ModelFolder.Component.allCases.map { Component(try model.folder.weights(of: $0)) }
        width = geometry.picture.width
        height = geometry.picture.height
        unetPass = Pass(ladder.total)
        encodingPass = Pass(autoencoder.encodingWork(height: height, width: width))
        decodingPass = Pass(autoencoder.decodingWork(height: height, width: width))
        rungs = ladder.rungs.map { Rung(down: $0.down, up: $0.up) }
        middle = Rung(down: ladder.middle, up: Work())
        memory = Memory(ladder.total, elementType)
    }

    /// The family whose sizes these are.
    private static func name(of unet: UNetConfiguration) -> String {
        for architecture in ModelArchitecture.allCases where architecture.unet.hasSameNetwork(as: unet) {
            switch architecture {
            case .sd15: return "Stable Diffusion 1.x"
            case .sd21: return "Stable Diffusion 2.x"
            case .tiny: return "tiny, as pilot model init makes it"
            }
        }
        return "of Stable Diffusion's kind, in sizes of its own"
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
        weightBytes = work.parameters * elementType.byteCount
        gradientWeightBytes = work.kernelParameters * elementType.byteCount
        keptBytes = Int(work.keptElements) * elementType.byteCount + Int(work.keptSums) * MemoryLayout<Float>.size
    }
}

extension UNetConfiguration {
    /// Whether the layers are the same, whatever the pictures were that it was trained with.
    fileprivate func hasSameNetwork(as other: UNetConfiguration) -> Bool {
        blockChannels == other.blockChannels && layersPerBlock == other.layersPerBlock
            && downBlockTypes == other.downBlockTypes && upBlockTypes == other.upBlockTypes
            && headCounts == other.headCounts && crossAttentionDimension == other.crossAttentionDimension
            && usesLinearProjection == other.usesLinearProjection
            && transformerLayers == other.transformerLayers
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
