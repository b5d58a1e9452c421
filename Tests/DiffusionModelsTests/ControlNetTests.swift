import DiffusionModels
import Failures
import NeuralLayers
import TensorKernels
import Testing

/// ControlNets beside a UNet, against diffusers, whole and cut into stages.
@Suite struct ControlNetTests {
    private func wholeLadder(of test: ControlCase) throws -> Range<Int> {
        0..<(try ModelFixture(test.model).folder.unetConfiguration().rungCount)
    }

    @Test func noiseAndGradientAreThoseOfDiffusers() throws {
        let context = try ComputeContext(threads: 1)
        for test in try ControlCase.all() {
            let (noise, gradient) = try test.evaluated(cut: [wholeLadder(of: test)], in: context)
            #expect(relativeError(noise, try test.golden("output")) < 2e-5, "\(test.name)")
            #expect(relativeError(gradient, try test.golden("input_gradient")) < 1e-4, "\(test.name)")
        }
    }

    @Test(arguments: ElementType.allCases, [1, 2])
    func everyCutGivesTheSameBits(elementType: ElementType, threads: Int) throws {
        let context = try ComputeContext(threads: threads, elementType: elementType)
        let single = try ComputeContext(threads: 1, elementType: elementType)
        for test in try ControlCase.all() {
            let ladder = try wholeLadder(of: test)
            let whole = try test.evaluated(cut: [ladder], in: single)
            let middle = ladder.count / 2
            for cut in [[ladder], ladder.map { $0..<$0 + 1 }, [0..<1, 1..<middle, middle..<ladder.count]] {
                let cutUp = try test.evaluated(cut: cut, in: context)
                #expect(cutUp.noise == whole.noise, "\(test.name), cut \(cut)")
                #expect(cutUp.gradient == whole.gradient, "\(test.name), cut \(cut)")
            }
        }
    }

    /// In diffusers' names, in the original's inside a whole checkpoint, and as differences to the UNet's weights.
    @Test(arguments: ["sd1/diffusion_pytorch_model.safetensors", "sd1.ldm.safetensors", "sd1.difference.safetensors"])
    func loneFilesAreTheSameNet(file: String) throws {
        let context = try ComputeContext(threads: 1)
        let test = try #require(try ControlCase.all().first { $0.name == "sd1.masked" })
        let ladder = try wholeLadder(of: test)
        for cut in [[ladder], [0..<2, 2..<ladder.count]] {
            let expected = try test.evaluated(cut: cut, in: context)
            let found = try test.evaluated(cut: cut, from: "\(ControlCase.folder)/\(file)", in: context)
            #expect(found.noise == expected.noise)
            #expect(found.gradient == expected.gradient)
        }
    }

    @Test func netsForOtherModelsAreRefusedByName() throws {
        let sd2 = try ModelFixture("sd2").folder.unetConfiguration()
        for path in ["sd1", "sd1.ldm.safetensors", "sd1/diffusion_pytorch_model.safetensors"] {
            let error = #expect(throws: Failure.self) {
                _ = try ControlNetFiles("\(ControlCase.folder)/\(path)", for: sd2, of: "unet/config.json")
            }
            #expect(error?.kind == .badData)
            #expect(error?.message.contains("for another model") == true, "\(error?.message ?? "")")
        }
    }

    @Test func whatIsNoNetIsRefusedByName() throws {
        let fixture = try ModelFixture("sd1")
        let unet = try fixture.folder.unetConfiguration()
        let notNets = [
            fixture.folder.folder(of: .unet), "\(ControlCase.folder)/golden.safetensors",
            "\(ControlCase.folder)/golden.json",
        ]
        for path in notNets {
            let error = #expect(throws: Failure.self) { _ = try ControlNetFiles(path, for: unet, of: "unet") }
            #expect(error?.kind == .badData && error?.message.contains(path) == true, "\(error?.message ?? "")")
        }
        let error = #expect(throws: Failure.self) { _ = try ControlNetFiles("/no/such", for: unet, of: "unet") }
        #expect(error?.kind == .missingInput)
    }

    @Test func aStageAsksForItsOwnRungsAlone() throws {
        let test = try #require(try ControlCase.all().first)
        let configuration = try test.files()[0].configuration
        func keys(_ rungs: Range<Int>?) -> [String] {
            let weights = RecordingWeights()
            _ = ControlStage(configuration, rungs: rungs, weights: weights)
            return weights.requests.map(\.key)
        }
        let count = configuration.encoder.rungCount
        let shares = (0..<count).map { keys($0..<$0 + 1).filter { !$0.hasPrefix("time_embedding.") } }
        let whole = keys(nil).filter { !$0.hasPrefix("time_embedding.") }
        #expect(shares.allSatisfy { !$0.isEmpty })
        #expect(shares.joined().sorted() == whole.sorted())
    }
}
