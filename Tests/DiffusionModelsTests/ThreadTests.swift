import DiffusionModels
import TensorKernels
import Testing

/// Whole networks have the same bits on any number of threads.
@Suite struct ThreadTests {
    /// Noise and input gradient at every timestep and masking of the fixture.
    @Test(arguments: ModelFixture.names, ElementType.allCases)
    func unet(model: String, type: ElementType) throws {
        guard try ComputeContext(threads: 1).backend.computes(in: type) else { return }
        let results = try (1...3).map { threads in
            try UNetCase(model, in: ComputeContext(threads: threads, elementType: type, grain: 1)).evaluations()
        }
        try #require(!results[0].isEmpty)
        for (threads, result) in zip(2...3, results.dropFirst()) {
            try #require(result.count == results[0].count)
            for (some, one) in zip(result, results[0]) {
                #expect(some.noise.map(\.bitPattern) == one.noise.map(\.bitPattern), "\(threads) threads, \(one.name)")
                #expect(
                    some.gradient.map(\.bitPattern) == one.gradient.map(\.bitPattern), "\(threads) threads, \(one.name)"
                )
            }
        }
    }

    @Test(arguments: ModelFixture.names)
    func autoencoder(model: String) throws {
        let fixture = try ModelFixture(model)
        let autoencoder = try fixture.network(.vae) {
            Autoencoder(try fixture.folder.vaeConfiguration(), weights: $0)
        }
        let (shape, image) = try fixture.tensor("vae.encode.image")
        let results = try (1...3).map { threads in
            let context = try ComputeContext(threads: threads, grain: 1)
            let latent = try autoencoder.encode(image, height: shape[1], width: shape[2], in: context)
            return (latent.values + (try autoencoder.decode(latent, in: context))).map(\.bitPattern)
        }
        #expect(!results[0].isEmpty && results[1] == results[0] && results[2] == results[0])
    }
}
