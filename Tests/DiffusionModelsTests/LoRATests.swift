import DiffusionModels
import Failures
import Foundation
import NeuralLayers
import TensorKernels
import Testing

@Suite struct LoRATests {
    /// What differs from the model, and by how much it misses the closed form.
    @Test(arguments: LoRAFixture.cases)
    func mergedWeightsAreTheClosedForms(test: LoRAFixture.Case) throws {
        let fixture = try LoRAFixture()
        let golden = try SafetensorsFile(path: LoRAFixture.path("expected")).tensors
        let loras = try fixture.set(test.file)
        var seen: Set<String> = []
        for component in [ModelFolder.Component.unet, .textEncoder] {
            let plain = try fixture.tensors(of: component)
            for (key, tensor) in try fixture.tensors(of: component, loras) {
                let name = (component == .textEncoder ? "text:" : "") + key
                guard test.modules.contains(where: { name == "\($0).weight" }) else {
                    #expect(tensor.float32Values() == plain[key]?.float32Values(), "\(name)")
                    continue
                }
                seen.insert(name)
                let expected = try #require(golden["\(test.expected)/\(name)"]).float32Values().map(Double.init)
                #expect(errorOverDeviation(tensor.float32Values(), expected) < 1e-6, "\(name)")
            }
        }
        #expect(seen.count == test.modules.count)
    }

    @Test func casesAreThere() { #expect(LoRAFixture.cases.count == 16) }

    /// The change of several is the sum of their changes, each on the plain weights, in any order.
    @Test func severalAddUp() throws {
        let fixture = try LoRAFixture()
        let plain = try fixture.tensors(of: .unet)
        let files = ["loha", "dora_output", "dora_input", "kohya"]
        func tensors(_ files: [String]) throws -> [String: StoredTensor] {
            let loras = try files.enumerated().map { index, file in
                WeightedLoRA(try LoRAFile(path: LoRAFixture.path(file)), unetScale: Self.scales[file] ?? 1)
            }
            return try fixture.tensors(of: .unet, try LoRASet(loras, for: fixture.targets))
        }
        let each = try files.map { try tensors([$0]) }
        let (all, reversed) = (try tensors(files), try tensors(files.reversed()))
        for (key, tensor) in all {
            let original = try #require(plain[key]).float32Values().map(Double.init)
            let parts = try each.map { try #require($0[key]).float32Values() }
            let expected = original.indices.map { index in
                parts.reduce(original[index]) { $0 + Double($1[index]) - original[index] }
            }
            // The parts were rounded, each by itself.
            #expect(errorOverDeviation(tensor.float32Values(), expected) < 2e-6, "\(key)")
            #expect(tensor.float32Values() == reversed[key]?.float32Values(), "\(key)")
        }
    }

    private static let scales = ["loha": -0.5, "dora_output": 0.25, "dora_input": 1.5, "kohya": 2]

    /// A scale of 0 leaves the file's own tensors in place, in either network.
    @Test func strengthsAreOfTheirNetworks() throws {
        let fixture = try LoRAFixture()
        for (unet, text) in [(0.0, 0.0), (0, 1), (1, 0)] {
            let loras = try fixture.set("dora_output", unet: unet, text: text)
            for (component, scale) in [(ModelFolder.Component.unet, unet), (.textEncoder, text)] {
                let plain = try fixture.tensors(of: component)
                let changed = try fixture.tensors(of: component, loras).filter {
                    $0.value.float32Values() != plain[$0.key]?.float32Values()
                }
                #expect(changed.count == (scale == 0 ? 0 : component == .unet ? 17 : 4))
                if scale == 0 {
                    #expect(
                        try fixture.tensors(of: component, loras).allSatisfy {
                            $0.value.elementType == plain[$0.key]?.elementType
                        })
                }
            }
        }
    }

    /// Linear layers and kernels of all kinds: no number of threads changes a bit.
    @Test(arguments: ["kohya", "locon", "loha", "lokr", "dora_output", "dora_input"])
    func threadsChangeNothing(file: String) throws {
        let fixture = try LoRAFixture()
        let tensors = try fixture.tensors(of: .unet, try fixture.set(file, unet: 0.7))
        let contexts = try [1, 3].map { try ComputeContext(threads: $0, grain: 1) }
        for (key, tensor) in tensors {
            let alone = tensor.float32Values()
            for context in contexts { #expect(tensor.float32Values(in: context) == alone, "\(key)") }
        }
    }

    /// A whole network computes the same with weights that are merged when read as with a file of the merged weights.
    @Test(arguments: BackendName.allCases, ElementType.allCases)
    func networksComputeWithMergedWeights(backend: BackendName, type: ElementType) throws {
        let fixture = try LoRAFixture()
        let context = try ComputeContext(threads: 1, elementType: type, backend: backend)
        let loras = try fixture.set("locon", "dora_input", unet: 0.5)
        let merged = try fixture.tensors(of: .unet, loras).map { key, tensor in
            StoredTensor(name: key, shape: tensor.shape, values: tensor.float32Values())
        }
        let scratch = try CheckpointScratch()
        let saved = try scratch.weights(.unet, merged)
        let arena = try SharedArena.create(byteCount: 1 << 28)
        func evaluations(_ weights: any WeightSource) throws -> [[UInt32]] {
            try UNetCase("sd1", weights: weights, in: context).evaluations().flatMap { test in
                [test.noise.map(\.bitPattern), test.gradient.map(\.bitPattern)]
            }
        }
        let expected = try evaluations(saved)
        for store in [WeightStore(), WeightStore(arena: arena), WeightStore(arena: arena)] {
            let plain = CheckpointWeights(try fixture.model.folder.weights(of: .unet), store: store)
            #expect(try evaluations(loras.applied(to: plain, of: .unet)) == expected)
        }
    }

    /// Plain and merged weights, and merges of other strengths, live beside each other in one store and one arena.
    @Test func copiesAreOfTheirOwnWeights() throws {
        let fixture = try LoRAFixture()
        let context = try ComputeContext(threads: 1)
        let arena = try SharedArena.create(byteCount: 1 << 28)
        let store = WeightStore(arena: arena)
        let key = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
        let sets = [LoRASet()] + (try [0.5, 1].map { try fixture.set("kohya", unet: $0) })
        let values = try sets.map { loras in
            let tensor = try #require(try fixture.tensors(of: .unet, loras)[key])
            let expected = tensor.float32Values()
            #expect(try Weight(tensor, in: store).tensor(in: context).floats == expected)
            return expected
        }
        #expect(Set(values).count == 3)
        // Another process of the machine finds what the first has made.
        let used = arena.usedByteCount
        let other = WeightStore(arena: try SharedArena(opening: arena.handle))
        let tensor = try #require(try fixture.tensors(of: .unet, sets[1])[key])
        #expect(try Weight(tensor, in: other).tensor(in: context).floats == values[1])
        #expect(arena.usedByteCount == used && other.byteCounts.privateBytes == 0)
    }

    /// A change of the first convolution's four channels, on a model that takes mask and picture besides.
    @Test func fourChannelsGoToTheFirstOfNine() throws {
        let fixture = try LoRAFixture()
        let targets = try fixture.targets(inputChannels: 9)
        for file in ["kohya", "dora_output", "dora_input"] {
            let lora = WeightedLoRA(try LoRAFile(path: LoRAFixture.path(file)), unetScale: 0.5)
            let plain = MemoryWeights(StoredTensor("conv_in.weight", [8, 9, 3, 3]))
            let merged = try LoRASet([lora], for: targets).applied(to: plain, of: .unet)
                .tensor("conv_in.weight", [8, 9, 3, 3]).float32Values()
            let narrow = (0..<8).flatMap { row in (0..<36).map { Float(row * 81 + $0) } }
            let source = MemoryWeights(StoredTensor(name: "conv_in.weight", shape: [8, 4, 3, 3], values: narrow))
            let first = try LoRASet([lora], for: fixture.targets).applied(to: source, of: .unet)
                .tensor("conv_in.weight", [8, 4, 3, 3]).float32Values()
            for row in 0..<8 {
                #expect(Array(merged[row * 81..<row * 81 + 36]) == Array(first[row * 36..<(row + 1) * 36]))
                #expect(merged[row * 81 + 36..<(row + 1) * 81].elementsEqual((36..<81).map { Float(row * 81 + $0) }))
            }
            #expect(first != narrow)
        }
    }
}
