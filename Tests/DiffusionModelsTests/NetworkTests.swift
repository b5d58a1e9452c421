import DiffusionModels
import Foundation
import NeuralLayers
import TensorKernels
import Testing

/// The networks against diffusers in float64: 2e-5 of the largest value, 1e-4 for gradients, which sum more roundings.
@Suite struct NetworkTests {
    @Test(arguments: ModelFixture.names, BackendName.allCases)
    func textEncoder(model: String, backend: BackendName) throws {
        let fixture = try ModelFixture(model)
        let context = try ComputeContext(threads: 1, backend: backend)
        let encoder = try fixture.network(.textEncoder) {
            TextEncoder(try fixture.folder.textEncoderConfiguration(), weights: $0)
        }
        for prompt in 0..<2 {
            let ids = try fixture.integers("text_encoder.\(prompt).input_ids")
            let expected = try fixture.tensor("text_encoder.\(prompt).last_hidden_state").values
            #expect(relativeError(try encoder(TokenChunk(ids: ids), in: context), expected) < 2e-5)
        }
    }

    /// Without the last layers, as --clip-skip asks: scripts/fixtures/make_clip_skip_fixture.py.
    @Test(arguments: [2, 3])
    func textEncoderOfFewerLayers(clipSkip: Int) throws {
        let fixture = try ModelFixture("sd1")
        let golden = try SafetensorsFile(
            path: CheckpointScratch.fixtures.deletingLastPathComponent().path + "/clip_skip.safetensors")
        let expected = try #require(golden.tensors["clip_skip.\(clipSkip)"])
        let weights = CheckpointWeights(try fixture.folder.weights(of: .textEncoder))
        let encoder = TextEncoder(
            try fixture.folder.textEncoderConfiguration(), skippedLayers: clipSkip - 1, weights: weights)
        let states = try encoder(
            TokenChunk(ids: fixture.integers("text_encoder.0.input_ids")), in: ComputeContext(threads: 1))
        #expect(relativeError(states, expected.float32Values()) < 2e-5)
    }

    @Test(arguments: ModelFixture.names, BackendName.allCases)
    func unet(model: String, backend: BackendName) throws {
        let fixture = try ModelFixture(model)
        let context = try ComputeContext(threads: backend == .oneDNN ? 2 : 1, backend: backend)
        let unet = try fixture.network(.unet) { UNetStage(try fixture.folder.unetConfiguration(), weights: $0) }
        let shape = try fixture.tensor("unet.latent").shape
        let input = try fixture.unetInput(in: context)
        let cotangent = Tensor(
            planes: try fixture.tensor("unet.cotangent").values, channels: shape[0], height: shape[1],
            width: shape[2], in: context)
        let embedding = try fixture.tensor("unet.embedding")
        let prompt = PromptMemory(embedding: Tensor(embedding.values, shape: embedding.shape, in: context))
        let mask = try fixture.tensor("unet.latent_mask").values
        let masks = MaskPyramid(
            mask: Latent(channels: 1, height: shape[1], width: shape[2], values: mask),
            chunkLength: embedding.shape[0])
        for test in fixture.cases {
            let conditioning = Conditioning(
                prompt: prompt, time: try unet.timeMemory(timestep: test.timestep, in: context),
                masks: { masks.masks(test.masking, height: $0, width: $1) })
            let output = try unet(input, conditioning, in: context)
            let expected = try fixture.tensor("\(test.name).output").values
            #expect(relativeError(output.planes, expected) < 2e-5, "\(test.name)")
            let (recorded, pullback) = try unet.withPullback(input, conditioning, in: context)
            #expect(recorded.floats == output.floats, "\(test.name): recording changes the value")
            let gradient = try fixture.tensor("\(test.name).input_gradient").values
            // Of the latent, which goes before all else.
            let found = Array(try pullback(cotangent).planes.prefix(gradient.count))
            #expect(relativeError(found, gradient) < 1e-4, "\(test.name)")
        }
    }

    @Test(arguments: ModelFixture.names, BackendName.allCases)
    func autoencoder(model: String, backend: BackendName) throws {
        let fixture = try ModelFixture(model)
        let context = try ComputeContext(threads: 1, backend: backend)
        let autoencoder = try fixture.network(.vae) {
            Autoencoder(try fixture.folder.vaeConfiguration(), weights: $0)
        }
        let (shape, image) = try fixture.tensor("vae.encode.image")
        let scale = autoencoder.configuration.scalingFactor
        let encoded = try autoencoder.encode(image, height: shape[1], width: shape[2], in: context)
        let mean = try fixture.tensor("vae.encode.mean").values
        #expect(relativeError(encoded.values.map { $0 / scale }, mean) < 2e-5)
        let (latentShape, latent) = try fixture.tensor("vae.decode.latent")
        let decoded = try autoencoder.decode(
            Latent(
                channels: latentShape[0], height: latentShape[1], width: latentShape[2],
                values: latent.map { $0 * scale }), in: context)
        #expect(relativeError(decoded, try fixture.tensor("vae.decode.image").values) < 2e-5)
    }
}
