import DiffusionModels
import Failures
import Foundation
import TensorKernels
import Testing

@Suite("Models in another layout")
struct ModelConversionTests {
    let scratch: CheckpointScratch

    init() throws { scratch = try CheckpointScratch() }

    private func fixture(_ name: String) throws -> ModelFolder {
        try ModelFolder(CheckpointScratch.fixtures.appending(path: name).path)
    }

    private func single(_ path: String, like folder: ModelFolder) throws -> SingleFileModel {
        try SingleFileModel(path, SingleFileModel.Options(configuration: folder, clip: ""))
    }

    private func conversion(
        _ files: any ModelFiles, as elementType: StoredElementType? = nil
    ) throws -> ModelConversion {
        try ModelConversion(files, scheduler: try files.schedulerConfiguration(), elementType: elementType)
    }

    /// A component's tensors as layers get them.
    private func tensors(_ files: any ModelFiles, _ component: ModelFolder.Component) throws -> [String: StoredTensor] {
        let shapes = try files.configuration()
        let requests = ModelTensors(unet: shapes.unet, vae: shapes.vae, textEncoder: shapes.textEncoder)[component]
        let weights = CheckpointWeights(try files.weights(of: component))
        let found = requests.map { ($0.key, weights.tensor($0.key, $0.shape)) }
        try weights.finish()
        return Dictionary(uniqueKeysWithValues: found)
    }

    private func expectSameBytes(_ a: any ModelFiles, _ b: any ModelFiles) throws {
        for component in ModelFolder.Component.allCases {
            let (first, second) = (try tensors(a, component), try tensors(b, component))
            #expect(first.count == second.count)
            for (key, tensor) in first {
                let other = try #require(second[key])
                #expect(tensor.elementType == other.elementType && tensor.shape == other.shape, "\(key)")
                let isSame = tensor.withUnsafeBytes { bytes in other.withUnsafeBytes { bytes.elementsEqual($0) } }
                #expect(isSame, "\(component) \(key)")
            }
        }
    }

    @Test("folder, single file, folder: the same bytes of every tensor", arguments: ["sd1", "sd2", "odd", "inpaint"])
    func roundTrip(name: String) throws {
        let folder = try fixture(name)
        let file = scratch.path + "/\(name).safetensors"
        try conversion(folder).writeSingleFile(to: file)
        let single = try single(file, like: folder)
        try expectSameBytes(folder, single)
        let names = try SafetensorsFile(path: file).tensors.keys
        #expect(names.contains("model.diffusion_model.input_blocks.0.0.weight"))
        #expect(names.contains("first_stage_model.encoder.mid.attn_1.q.weight"))
        let isFused = names.contains("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias")
        #expect(isFused == (name == "sd2"))

        try conversion(single).writeFolder(to: scratch.path + "/again")
        let again = try ModelFolder(scratch.path + "/again")
        try expectSameBytes(folder, again)
        let shapes = try again.configuration()
        #expect(try shapes == folder.configuration())
        #expect(try again.schedulerConfiguration() == folder.schedulerConfiguration())
        // As other programs expect them, too.
        for component in ModelFolder.Component.allCases {
            let written = try again.weights(of: component)
            for (key, tensor) in try folder.weights(of: component).tensors where written.tensors[key] != nil {
                #expect(written.tensors[key]?.shape == tensor.shape, "\(key)")
            }
        }
        let size = shapes.textEncoder.vocabularySize
        let words = "a red fox, 8k"
        #expect(
            try again.tokenizer.tokenizer(vocabularySize: size).encode(words)
                == folder.tokenizer.tokenizer(vocabularySize: size).encode(words))
    }

    @Test("fused queries, keys and values are views of the file")
    func views() throws {
        let folder = try fixture("sd2")
        let file = scratch.path + "/model.safetensors"
        try conversion(folder).writeSingleFile(to: file)
        let fused = try #require(
            try SafetensorsFile(path: file).tensors[
                "cond_stage_model.model.transformer.resblocks.1.attn.in_proj_weight"])
        let parts = (0..<3).map { fused.rows(part: $0, of: 3) }
        #expect(parts.map(\.shape) == [[40, 40], [40, 40], [40, 40]])
        #expect(parts.flatMap { $0.float32Values() } == fused.float32Values())
        // A name of its own each: under it the ranks of a machine share what is made of it.
        #expect(Set(parts.map(\.name) + [fused.name]).count == 4)
        let attention = "encoder.layers.1.self_attn"
        let single = try tensors(single(file, like: folder), .textEncoder)
        #expect(single["\(attention).k_proj.weight"]?.name == parts[1].name)
    }

    @Test("another number format, for all tensors and of mixed ones")
    func formats() throws {
        let folder = try fixture("sd2")
        let file = scratch.path + "/model.safetensors"
        try conversion(folder, as: .float32).writeSingleFile(to: file)
        let wide = try single(file, like: folder)
        for component in ModelFolder.Component.allCases {
            let before = try tensors(folder, component)
            for (key, tensor) in try tensors(wide, component) {
                #expect(tensor.elementType == .float32)
                #expect(tensor.float32Values() == before[key]?.float32Values(), "\(key)")
            }
        }
        // Back to the formats that they came from nothing is lost.
        try conversion(wide, as: .bfloat16).writeFolder(to: scratch.path + "/half")
        let half = try ModelFolder(scratch.path + "/half")
        let unet = try tensors(half, .unet)
        for (key, tensor) in try tensors(folder, .unet) {
            #expect(unet[key]?.elementType == .bfloat16)
            #expect(unet[key]?.float32Values() == tensor.float32Values(), "\(key)")
        }
    }

    @Test("queries, keys and values of several formats become one tensor of the widest")
    func mixedFormats() throws {
        let folder = try fixture("sd2")
        let copy = scratch.path + "/mixed"
        try conversion(folder).writeFolder(to: copy)
        let path = copy + "/text_encoder/model.safetensors"
        let query = "text_model.encoder.layers.0.self_attn.q_proj.weight"
        let stored = try SafetensorsFile(path: path).tensors.values.sorted { $0.name < $1.name }
        try SafetensorsWriter.write(
            to: path,
            stored.map {
                $0.name == query ? StoredTensor(name: query, shape: $0.shape, values: $0.float32Values()) : $0
            })
        let file = scratch.path + "/mixed.safetensors"
        try conversion(try ModelFolder(copy)).writeSingleFile(to: file)
        let fused = "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"
        #expect(try SafetensorsFile(path: file).tensors[fused]?.elementType == .float32)
        let before = try tensors(folder, .textEncoder)
        for (key, tensor) in try tensors(single(file, like: folder), .textEncoder) {
            #expect(tensor.float32Values() == before[key]?.float32Values(), "\(key)")
        }
    }

    @Test("what would be lost is refused, and leaves nothing")
    func refusals() throws {
        let folder = try fixture("odd")
        let copy = scratch.path + "/model"
        try conversion(folder).writeFolder(to: copy)
        let path = copy + "/vae/diffusion_pytorch_model.safetensors"
        let stored = try SafetensorsFile(path: path).tensors.values.sorted { $0.name < $1.name }
        func write(_ value: Float) throws {
            let changed = stored.map { tensor in
                tensor.name == "quant_conv.bias"
                    ? StoredTensor(
                        name: tensor.name, shape: tensor.shape,
                        values: [Float](repeating: value, count: tensor.count)) : tensor
            }
            try SafetensorsWriter.write(to: path, changed)
        }
        let file = scratch.path + "/half.safetensors"
        try write(-70000)
        let model = try ModelFolder(copy)
        let large = try failure { try conversion(model, as: .float16).writeSingleFile(to: file) }
        #expect(large.kind == .badData)
        #expect(large.message.contains("\"quant_conv.bias\"") && large.message.contains("-70000"))
        try write(.nan)
        let broken = try failure { try conversion(model).writeFolder(to: scratch.path + "/again") }
        #expect(broken.message.contains("\"quant_conv.bias\" is NaN or infinite"))
        let there = try failure { try conversion(folder).writeFolder(to: copy) }
        #expect(there.kind == .usage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["model"])
    }

    @Test("another autoencoder: of a folder, a model's folder, a file in either layout, inside a checkpoint")
    func autoencoders() throws {
        let base = try fixture("sd2")
        let expected = try tensors(base, .vae)
        let file = scratch.path + "/whole.safetensors"
        try conversion(base).writeSingleFile(to: file)
        let alone = scratch.path + "/alone.safetensors"
        let prefix = "first_stage_model."
        let parts = try SafetensorsFile(path: file).tensors.filter { $0.key.hasPrefix(prefix) }
        try SafetensorsWriter.write(
            to: alone,
            parts.map {
                StoredTensor(
                    name: String($0.key.dropFirst(prefix.count)), shape: $0.value.shape,
                    values: $0.value.float32Values())
            }
                + [StoredTensor("loss.logvar", [1])])
        let diffusers = base.path + "/vae/diffusion_pytorch_model.fp16.safetensors"
        for path in [base.path, base.path + "/vae", file, alone, diffusers] {
            let model = try ReplacedAutoencoder(base, with: path)
            let found = try tensors(model, .vae)
            #expect(found.count == expected.count)
            for (key, tensor) in found { #expect(tensor.float32Values() == expected[key]?.float32Values(), "\(key)") }
            #expect(try model.weights(of: .unet).location == base.weights(of: .unet).location)
        }
        // A folder brings its configuration, so that an autoencoder of another shape is seen.
        let other = try fixture("odd")
        let model = try ReplacedAutoencoder(base, with: other.path)
        #expect(try model.vaeConfiguration() == other.vaeConfiguration())
        #expect(model.configurationPath(of: .vae) == other.path + "/vae/config.json")
        #expect(
            try failure { _ = try ReplacedAutoencoder(base, with: scratch.path + "/nowhere") }.kind == .missingInput)
        let text = base.path + "/text_encoder/model.fp16.safetensors"
        let wrong = try failure { _ = try ReplacedAutoencoder(base, with: text) }
        #expect(wrong.kind == .badData && wrong.message.contains("decoder.conv_in.weight"))
        let shape = try failure { _ = try tensors(ReplacedAutoencoder(other, with: alone), .vae) }
        #expect(shape.message.contains("alone.safetensors") && shape.message.contains("of another shape"))
    }

    @Test("what a single file would not say")
    func differences() throws {
        let folder = try fixture("sd1")
        func difference(_ files: any ModelFiles) throws -> String? {
            try files.differenceToFamily(scheduler: try files.schedulerConfiguration(), clip: SingleFileLayout.clip)
        }
        #expect(try difference(folder)?.contains("sizes of their own") == true)
        for architecture in ["sd15", "sd21"] {
            let file = try scratch.single(try SingleFileLayout(architecture).shapes, prediction: .velocity)
            #expect(try difference(file) == nil)
            var scheduler = try file.schedulerConfiguration()
            scheduler.timestepSpacing = .trailing
            let other = try file.differenceToFamily(scheduler: scheduler, clip: SingleFileLayout.clip)
            #expect(other?.contains("scheduler") == true)
        }
    }
}
