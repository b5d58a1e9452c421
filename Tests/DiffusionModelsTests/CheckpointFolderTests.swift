import DiffusionModels
import Failures
import Foundation
import TensorKernels
import Testing

@Suite("Model folders")
struct CheckpointFolderTests {
    let scratch: CheckpointScratch

    init() throws { scratch = try CheckpointScratch() }

    private func refusal() throws -> Failure {
        try failure { _ = try ModelFolder(scratch.path) }
    }

    private func unetRefusal() throws -> Failure {
        try scratch.write(CheckpointScratch.index, to: "model_index.json")
        let folder = try ModelFolder(scratch.path)
        return try failure { _ = try folder.weights(of: .unet) }
    }

    @Test(
        "single files, variants, shards, and configurations of models that diffusers wrote",
        arguments: ["sd1", "sd2", "odd"])
    func fixtures(name: String) throws {
        let folder = try ModelFolder(CheckpointScratch.fixtures.appending(path: name).path + "/")
        let configuration = try folder.configuration()
        #expect(configuration.unet.inputChannels == 4)
        #expect(configuration.unet.usesLinearProjection == (name == "sd2"))
        for component in ModelFolder.Component.allCases {
            let checkpoint = try folder.weights(of: component)
            #expect(checkpoint.tensors.count > 30)
            let positions = checkpoint.tensors.filter { !$0.value.elementType.isNetworkType }.keys
            #expect(Array(positions) == (positions.isEmpty ? [] : ["text_model.embeddings.position_ids"]))
            #expect(checkpoint.parameterCount > 1000)
        }
        let unet = try folder.weights(of: .unet)
        #expect(unet.files.count == (name == "odd" ? 6 : 1))
        let types: [String: StoredElementType] = ["sd1": .float16, "sd2": .bfloat16, "odd": .float32]
        #expect(unet.tensors["conv_in.weight"]?.elementType == types[name])
    }

    @Test("other kinds of models are named")
    func otherKinds() throws {
        for (index, name) in [
            (
                #"{"_class_name": "StableDiffusionXLPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}"#,
                "StableDiffusionXLPipeline"
            ),
            (
                #"{"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"]}"#,
                "FluxPipeline"
            ),
            (
                #"{"_class_name": "X", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "T5EncoderModel"]}"#,
                "T5EncoderModel"
            ),
        ] {
            try scratch.write(index, to: "model_index.json")
            let error = try refusal()
            #expect(error.kind == .badData)
            #expect(error.message.contains(name))
            #expect(error.message.contains("expected the diffusers folder"))
        }
        for text in ["", "[]", "{", "{\"a\": }", String(repeating: "[", count: 100_000)] {
            try scratch.write(text, to: "model_index.json")
            #expect(try refusal().kind == .badData)
        }
    }

    @Test("a language model, a component alone, a single file, nothing")
    func notFolders() throws {
        #expect(try refusal().message.contains("no model_index.json"))
        try scratch.write(#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#, to: "config.json")
        #expect(try refusal().message.contains("LlamaForCausalLM"))
        try scratch.write(#"{"_class_name": "AutoencoderKL"}"#, to: "config.json")
        #expect(try refusal().message.contains("AutoencoderKL"))
        try scratch.write("{}", to: "config.json")
        try scratch.write("x", to: "v1-5-pruned.safetensors")
        #expect(try refusal().message.contains("single-file checkpoint \"v1-5-pruned.safetensors\""))
        let single = try failure { _ = try ModelFolder(scratch.path + "/v1-5-pruned.safetensors") }
        #expect(single.message.contains("is a single-file checkpoint"))
        let missing = try failure { _ = try ModelFolder(scratch.path + "/nothing") }
        #expect(missing.kind == .missingInput)
    }

    @Test("without an index the five folders make a model")
    func withoutIndex() throws {
        for part in ["unet", "vae", "text_encoder", "tokenizer"] { try scratch.write("", to: "\(part)/x") }
        #expect(try refusal().message.contains("scheduler"))
        try scratch.write("", to: "scheduler/x")
        _ = try ModelFolder(scratch.path)
    }

    @Test("the plain file comes before the variant, one file before shards")
    func preference() throws {
        let base = "unet/diffusion_pytorch_model"
        try scratch.write(CheckpointScratch.index, to: "model_index.json")
        let folder = try ModelFolder(scratch.path)
        func found() throws -> [String] { try folder.weights(of: .unet).tensors.keys.sorted() }

        try scratch.write([StoredTensor("a", [1])], to: "\(base).fp16-00001-of-00002.safetensors")
        try scratch.write([StoredTensor("b", [1])], to: "\(base).fp16-00002-of-00002.safetensors")
        try scratch.write(
            #"{"metadata": {"total_size": 8}, "weight_map": {"a": "diffusion_pytorch_model.fp16-00001-of-00002.safetensors", "b": "diffusion_pytorch_model.fp16-00002-of-00002.safetensors"}}"#,
            to: "\(base).safetensors.index.fp16.json")
        #expect(try found() == ["a", "b"])
        try scratch.write([StoredTensor("half", [1])], to: "\(base).fp16.safetensors")
        #expect(try found() == ["half"])
        try scratch.write([StoredTensor("part", [1])], to: "\(base)-00001-of-00001.safetensors")
        try scratch.write(
            #"{"weight_map": {"part": "diffusion_pytorch_model-00001-of-00001.safetensors"}}"#,
            to: "\(base).safetensors.index.json")
        #expect(try found() == ["part"])
        try scratch.write([StoredTensor("plain", [1])], to: "\(base).safetensors")
        #expect(try found() == ["plain"])
    }

    @Test("an index that leads elsewhere, misses files or disagrees with them")
    func shards() throws {
        let index = "unet/diffusion_pytorch_model.safetensors.index.json"
        for name in ["../secret.safetensors", "/etc/passwd", "sub/a.safetensors", "..", "", "a.bin", ".a.safetensors"] {
            try scratch.write("{\"weight_map\": {\"w\": \"\(name)\"}}", to: index)
            let error = try unetRefusal()
            #expect(error.kind == .badData)
            #expect(error.message.contains("weight_map") && error.message.contains("\"\(name)\""))
        }
        for text in ["{}", #"{"weight_map": {}}"#, #"{"weight_map": []}"#, #"{"weight_map": {"a": 1}}"#, "null"] {
            try scratch.write(text, to: index)
            #expect(try unetRefusal().kind == .badData)
        }
        try scratch.write([StoredTensor("a", [1]), StoredTensor("c", [1])], to: "unet/1.safetensors")
        try scratch.write(#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#, to: index)
        let missing = try unetRefusal()
        #expect(missing.kind == .missingInput)
        #expect(missing.message.contains("2.safetensors"))
        try scratch.write([StoredTensor("x", [1])], to: "unet/2.safetensors")
        #expect(try unetRefusal().message.contains("\"c\""))
        try scratch.write([StoredTensor("a", [1])], to: "unet/1.safetensors")
        #expect(try unetRefusal().message.contains("no tensor \"b\""))
    }

    @Test("pickle weights are refused by name, and no weights are said to be missing")
    func pickle() throws {
        let missing = try unetRefusal()
        #expect(missing.kind == .missingInput)
        #expect(missing.message.contains("diffusion_pytorch_model.safetensors"))
        try scratch.write("\u{80}", to: "unet/diffusion_pytorch_model.bin")
        let error = try unetRefusal()
        #expect(error.kind == .badData)
        #expect(error.message.contains("diffusion_pytorch_model.bin"))
        #expect(error.message.contains("convert it to safetensors"))
    }
}
