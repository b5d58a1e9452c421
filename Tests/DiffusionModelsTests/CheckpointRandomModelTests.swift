import DiffusionModels
import Failures
import Foundation
import TensorKernels
import Testing

@Suite("Random models")
struct CheckpointRandomModelTests {
    let scratch: CheckpointScratch
    let tensors = ModelTensors(
        unet: [
            TensorRequest(key: "conv_in.weight", shape: [100, 4, 3, 3]),
            TensorRequest(key: "conv_in.bias", shape: [100]),
            TensorRequest(key: "time_embedding.linear_1.weight", shape: [600, 900]),
            TensorRequest(key: "norm.weight", shape: [5]), TensorRequest(key: "norm.bias", shape: [5]),
        ],
        vae: [TensorRequest(key: "conv_in.weight", shape: [100, 4, 3, 3])],
        textEncoder: [TensorRequest(key: "embeddings.token_embedding.weight", shape: [514, 32])])

    init() throws { scratch = try CheckpointScratch() }

    private func write(
        _ name: String, seed: UInt64 = 1, _ elementType: StoredElementType = .float32
    ) throws -> ModelFolder {
        let path = "\(scratch.path)/\(name)"
        try RandomModel.write(.tiny, tensors: tensors, seed: seed, elementType: elementType, to: path)
        return try ModelFolder(path)
    }

    private func values(_ folder: ModelFolder, _ component: ModelFolder.Component, _ key: String) throws -> [Float] {
        try #require(try folder.weights(of: component).tensors[key]).float32Values()
    }

    @Test("a folder that is read as what was written")
    func folder() throws {
        let folder = try write("model")
        let configuration = try folder.configuration()
        #expect(configuration.unet == ModelArchitecture.tiny.unet)
        #expect(configuration.vae == ModelArchitecture.tiny.vae)
        #expect(configuration.vae.downsamplingFactor == 8)
        #expect(configuration.textEncoder == ModelArchitecture.tiny.textEncoder)
        let scheduler = try SchedulerConfiguration(contentsOf: URL(filePath: folder.schedulerConfigurationPath))
        #expect(scheduler == ModelArchitecture.tiny.scheduler)
        let tokenizer = try CLIPTokenizer(
            folder: folder.tokenizerFolder, vocabularySize: configuration.textEncoder.vocabularySize)
        #expect(tokenizer.startToken == 512 && tokenizer.endToken == 513 && tokenizer.padToken == 513)
        // "!" is the first of the byte symbols, "a" the 64th after it; a word's last byte has the symbol 256 further.
        #expect(tokenizer.encode("!a aa") == [256, 320, 64, 320])
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        #expect(left == ["model"])
    }

    @Test("every layer has its distribution")
    func distributions() throws {
        let folder = try write("model")
        let convolution = try values(folder, .unet, "conv_in.weight")
        let bound = 1 / Float(36).squareRoot()
        #expect(convolution.allSatisfy { abs($0) <= bound })
        #expect(try values(folder, .unet, "conv_in.bias").allSatisfy { abs($0) <= bound && $0 != 0 })
        let linear = try values(folder, .unet, "time_embedding.linear_1.weight")
        // 540,000 numbers: mean and deviation are known to a few parts in a thousand.
        #expect(abs(deviation(linear) * Float(900).squareRoot() * Float(3).squareRoot() - 1) < 0.005)
        let largest = try #require(linear.max())
        #expect(largest > 0.0329 && largest <= 1 / 30)
        #expect(try values(folder, .unet, "norm.weight") == [1, 1, 1, 1, 1])
        #expect(try values(folder, .unet, "norm.bias") == [0, 0, 0, 0, 0])
        // 16,448 numbers: deviation within 3 % is more than five of its own.
        let embedding = try values(folder, .textEncoder, "text_model.embeddings.token_embedding.weight")
        #expect(abs(deviation(embedding) / 0.02 - 1) < 0.03)
        #expect(!embedding.contains { !$0.isFinite })
    }

    @Test("the seed and the name decide, not the order, the file or the type")
    func determinism() throws {
        let first = try values(try write("a"), .unet, "conv_in.weight")
        #expect(try values(try write("b"), .unet, "conv_in.weight") == first)
        #expect(try values(try write("c", seed: 2), .unet, "conv_in.weight") != first)
        #expect(try values(try ModelFolder("\(scratch.path)/a"), .vae, "conv_in.weight") != first)
        let halves = try values(try write("d", .float16), .unet, "conv_in.weight")
        let rounded = first.map { Float(Float16($0)) }
        #expect(halves == rounded)
    }

    @Test("the networks have the parameters their originals are known to have, in a layout that has every tensor")
    func parameters() throws {
        let counts = [ModelArchitecture.sd15, .sd15Inpainting, .sd21, .sd2Inpainting].map {
            Self.tensors(of: $0).map { $0.reduce(0) { $0 + $1.count } }
        }
        // As PyTorch counts them in diffusers' and transformers' classes.
        #expect(
            counts == [
                [859_520_964, 83_653_863, 123_060_480], [859_535_364, 83_653_863, 123_060_480],
                [865_910_724, 83_653_863, 340_387_840], [865_925_124, 83_653_863, 340_387_840],
            ])

        let tiny = Self.tensors(of: .tiny)
        let path = "\(scratch.path)/whole"
        try RandomModel.write(
            .tiny, tensors: ModelTensors(unet: tiny[0], vae: tiny[1], textEncoder: tiny[2]), seed: 1,
            elementType: .bfloat16, to: path)
        let folder = try ModelFolder(path)
        let unet = CheckpointWeights(try folder.weights(of: .unet))
        _ = UNetStage(try folder.unetConfiguration(), weights: unet)
        try unet.finish()
        let stored = unet.checkpoint.tensors
        // 1x1 convolutions in diffusers, where a matrix would be refused.
        for key in ["down_blocks.0.attentions.0.proj_in", "up_blocks.0.resnets.0.conv_shortcut"] {
            #expect(stored["\(key).weight"]?.shape.suffix(2) == [1, 1])
        }
        let vae = CheckpointWeights(try folder.weights(of: .vae))
        _ = Autoencoder(try folder.vaeConfiguration(), weights: vae)
        try vae.finish()
        #expect(vae.checkpoint.tensors["post_quant_conv.weight"]?.shape == [4, 4, 1, 1])
        let textEncoder = CheckpointWeights(try folder.weights(of: .textEncoder))
        _ = TextEncoder(try folder.textEncoderConfiguration(), weights: textEncoder)
        try textEncoder.finish()
    }

    /// What UNet, VAE and text encoder ask for.
    private static func tensors(of architecture: ModelArchitecture) -> [[TensorRequest]] {
        func recorded(_ build: (RecordingWeights) -> Void) -> [TensorRequest] {
            let weights = RecordingWeights()
            build(weights)
            return weights.requests
        }
        return [
            recorded { _ = UNetStage(architecture.unet, weights: $0) },
            recorded { _ = Autoencoder(architecture.vae, weights: $0) },
            recorded { _ = TextEncoder(architecture.textEncoder, weights: $0) },
        ]
    }

    @Test("a folder that is there stays as it is; one that can't be made leaves nothing")
    func refused() throws {
        _ = try write("model")
        let there = try failure { _ = try write("model") }
        #expect(there.kind == .usage && there.message.contains("is there already"))
        try scratch.write("x", to: "file")
        let blocked = try failure { _ = try write("file/model") }
        #expect(blocked.kind == .inputOutput)
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted()
        #expect(left == ["file", "model"])
    }

    private func deviation(_ values: [Float]) -> Float {
        let mean = values.reduce(0, +) / Float(values.count)
        return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count)).squareRoot()
    }
}
