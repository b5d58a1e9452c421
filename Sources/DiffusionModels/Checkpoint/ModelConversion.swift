import Failures
import TensorKernels

/// Writes a model in another layout, or its weights in another number format.
///
/// Every tensor is checked as before a job. What no picture depends on is left out.
public struct ModelConversion {
    private let files: any ModelFiles
    private let descriptions: ModelDescriptionFiles
    private let requests: ModelTensors
    /// Of all weights; nil for that of each.
    private let elementType: StoredElementType?

    /// - Parameters:
    ///   - scheduler: how the noise is scheduled, and what the network predicts.
    ///   - elementType: float32, float16 or bfloat16; nil for each tensor's own.
    /// - Throws: `Failure` if a configuration is wrong.
    public init(
        _ files: any ModelFiles, scheduler: SchedulerConfiguration, elementType: StoredElementType?
    ) throws {
        precondition(elementType?.isNetworkType != false, "weights are float32, float16 or bfloat16")
        self.files = files
        self.elementType = elementType
        let shapes = try files.configuration()
        descriptions = ModelDescriptionFiles(
            unet: shapes.unet, vae: shapes.vae, textEncoder: shapes.textEncoder, scheduler: scheduler)
        requests = ModelTensors(unet: shapes.unet, vae: shapes.vae, textEncoder: shapes.textEncoder)
    }

    /// Writes a diffusers folder. It grows under another name beside `folder` and is renamed at the end.
    ///
    /// - Throws: `Failure`: usage if `folder` is there already, bad data if the model is not whole or a value is beyond
    ///   the format, inputOutput if writing fails.
    public func writeFolder(to folder: String) throws {
        try AtomicFolder.make(folder) { partial in
            try descriptions.write(to: partial, writeTokenizer: files.tokenizer.write)
            for component in ModelFolder.Component.allCases {
                let naming = DiffusersNaming(component: component)
                try write(
                    try tensors(of: component, named: naming, isLDM: false),
                    to: "\(partial)/\(component.rawValue)/\(component.weightsName).safetensors",
                    metadata: ["format": "pt"])
            }
        }
    }

    /// Writes one file in the layout of the original Stable Diffusion (LDM).
    ///
    /// - Throws: as `writeFolder`.
    public func writeSingleFile(to path: String) throws {
        let isOpenCLIP = descriptions.textEncoder.activation == .gelu
        let text: any TensorNaming =
            isOpenCLIP
            ? OpenCLIPNaming(
                prefix: "cond_stage_model.model.", layerCount: descriptions.textEncoder.layerCount)
            : CLIPNaming(prefix: "cond_stage_model.transformer.")
        let autoencoder = LDMAutoencoderNaming(
            prefix: LDMAutoencoderNaming.prefixes[0], blocks: descriptions.vae.blockChannels.count)
        var written = try tensors(of: .unet, named: LDMUNetNaming(configuration: descriptions.unet), isLDM: true)
        written += try tensors(of: .vae, named: autoencoder, isLDM: true)
        written += try tensors(of: .textEncoder, named: text, isLDM: true)
        if descriptions.scheduler.rescaleBetasZeroSNR {
            let mark = TensorDeclaration(name: "ztsnr", elementType: .float32, shape: [0])
            written.append(Written(declaration: mark, sources: []))
        }
        try write(written, to: path, metadata: metadata)
    }

    /// What the tensors of a single file do not tell.
    private var metadata: [String: String] {
        var metadata = ["format": "pt"]
        let prediction = descriptions.scheduler.predictionType
        metadata[Prediction.typeKey] = prediction == .velocity ? "v" : prediction.rawValue
        switch ModelFamily(descriptions.unet) {
        case .sd1: metadata[Prediction.architectureKey] = "stable-diffusion-v1"
        case .sd1Inpainting: metadata[Prediction.architectureKey] = "stable-diffusion-v1-inpainting"
        case .sd2Inpainting: metadata[Prediction.architectureKey] = "stable-diffusion-v2-inpainting"
        case .sd2:
            metadata[Prediction.architectureKey] =
                prediction == .velocity ? Prediction.velocityArchitecture : Prediction.noiseArchitecture
        default: break
        }
        return metadata
    }

    /// A tensor to be written, and the blocks of rows that it is made of.
    private struct Written {
        let declaration: TensorDeclaration
        var sources: [StoredTensor]
    }

    /// A component's tensors under their names in the new layout, in the order in which layers ask for them.
    private func tensors(
        of component: ModelFolder.Component, named naming: any TensorNaming, isLDM: Bool
    ) throws -> [Written] {
        let weights = CheckpointWeights(try files.weights(of: component))
        var order: [String] = []
        var found: [String: [(place: TensorPlace, shape: [Int], tensor: StoredTensor)]] = [:]
        for request in requests[component] {
            guard let place = naming.places(of: request.key).first else { continue }
            let shape = request.storedShape(
                in: component, usesLinearProjection: descriptions.unet.usesLinearProjection, isLDM: isLDM)
            if found[place.name] == nil { order.append(place.name) }
            found[place.name, default: []].append((place, shape, weights.tensor(request.key, request.shape)))
        }
        try weights.finish()
        return order.map { name in
            let blocks = found[name, default: []].sorted { $0.place.part < $1.place.part }
            let types = Set(blocks.map { elementType ?? $0.tensor.elementType })
            let shape = blocks.first?.shape ?? []
            return Written(
                declaration: TensorDeclaration(
                    name: name, elementType: types.count == 1 ? types.first ?? .float32 : .float32,
                    shape: blocks.count == 1 ? shape : [shape[0] * blocks.count] + shape.dropFirst()),
                sources: blocks.map(\.tensor))
        }
    }

    private func write(_ tensors: [Written], to path: String, metadata: [String: String]) throws {
        try SafetensorsWriter.write(to: path, tensors.map(\.declaration), metadata: metadata) { payload in
            for tensor in tensors {
                for source in tensor.sources {
                    try append(source, as: tensor.declaration.elementType, to: &payload)
                    source.releasePages()
                }
            }
        }
    }

    private func append(
        _ source: StoredTensor, as type: StoredElementType, to payload: inout SafetensorsPayload
    ) throws {
        if source.elementType == type {
            try source.withUnsafeBytes { try payload.append($0) }
            return
        }
        let values = source.float32Values()
        if type == .float16, let largest = values.first(where: { abs($0) >= Self.beyondHalf }) {
            throw Failure.badData(
                file: source.file, key: quoted(source.name), expected: "values that float16 holds, up to 65504",
                found: "\(largest); take another --dtype")
        }
        try payload.append(values)
    }

    /// From here on the nearest float16 is infinity.
    private static let beyondHalf: Float = 65520
}
