import DiffusionModels
import Failures
import Foundation
import TestSupport
import Testing

/// A tokenizer folder changed in one place, and what the message has to name.
struct BrokenTokenizer: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var base = "sd1"
    var vocabularySize: Int?
    let file: String
    /// Text of the file to replace, and by what; nil replaces all of it.
    var find: String?
    let replacement: String
    var kind = Failure.Kind.badData
    let names: [String]

    static let all = [
        BrokenTokenizer(
            testDescription: "truncated JSON", file: "vocab.json", replacement: #"{"a":1,"b"#,
            names: ["vocab.json", "not valid JSON at byte 9"]),
        BrokenTokenizer(
            testDescription: "nested without end", file: "tokenizer_config.json",
            replacement: #"{"a":"# + String(repeating: "[", count: 200_000), names: ["tokenizer_config.json", "nested"]),
        BrokenTokenizer(
            testDescription: "half a surrogate pair", file: "vocab.json", replacement: #"{"\ud83d":1}"#,
            names: ["vocab.json", "surrogate"]),
        BrokenTokenizer(
            testDescription: "a list", file: "vocab.json", replacement: "[1]", names: ["vocab.json", "JSON object"]),
        BrokenTokenizer(
            testDescription: "an empty vocabulary", file: "vocab.json", replacement: "{}", names: ["vocab.json"]),
        BrokenTokenizer(
            testDescription: "a token twice", file: "vocab.json", find: #""$":3"#, replacement: #""%":3"#,
            names: ["vocab.json", "\"%\" is there twice"]),
        BrokenTokenizer(
            testDescription: "an id twice", file: "vocab.json", find: #""$":3,"#, replacement: #""$":4,"#,
            names: ["vocab.json", "id 4", "\"$\"", "\"%\""]),
        BrokenTokenizer(
            testDescription: "a negative id", file: "vocab.json", find: #""$":3,"#, replacement: #""$":-3,"#,
            names: ["vocab.json", "token \"$\"", "-3"]),
        BrokenTokenizer(
            testDescription: "an id that overflows", file: "vocab.json", find: #""$":3,"#,
            replacement: #""$":99999999999999999999,"#, names: ["vocab.json", "99999999999999999999"]),
        BrokenTokenizer(
            testDescription: "a fraction as an id", file: "vocab.json", find: #""$":3,"#, replacement: #""$":3.5,"#,
            names: ["vocab.json", "3.5"]),
        BrokenTokenizer(
            testDescription: "ids beyond the text encoder's", vocabularySize: 512, file: "merges.txt",
            replacement: "", names: ["vocab.json", "from 0 to 511", "vocab_size"]),
        BrokenTokenizer(
            testDescription: "a merge of an unknown token", file: "merges.txt",
            replacement: "#version: 0.2\na b\na €\n",
            names: ["merges.txt", "line 3", "\"€\""]),
        BrokenTokenizer(
            testDescription: "a merge of three", file: "merges.txt", replacement: "#version: 0.2\na b c\n",
            names: ["merges.txt", "line 2", "\"a b c\""]),
        BrokenTokenizer(
            testDescription: "an empty line among the merges", file: "merges.txt",
            replacement: "#version: 0.2\n\nt h\n",
            names: ["merges.txt", "line 2"]),
        BrokenTokenizer(
            testDescription: "a merge of one, as an array", base: "sd2", file: "tokenizer.json",
            find: #""merges":[["#, replacement: #""merges":[["a"],["#, names: ["tokenizer.json", "model.merges[0]"]),
        BrokenTokenizer(
            testDescription: "a merge twice", base: "fine-tuned", file: "tokenizer.json",
            find: #""merges":["#, replacement: #""merges":["à ¤","#,
            names: ["tokenizer.json", "model.merges[1]", "à ¤"]),
        BrokenTokenizer(
            testDescription: "another kind of model", base: "sd2", file: "tokenizer.json",
            find: #""type":"BPE""#, replacement: #""type":"WordPiece""#,
            names: ["tokenizer.json", "model.type", "WordPiece"]),
        BrokenTokenizer(
            testDescription: "no model", base: "sd2", file: "tokenizer.json", replacement: "{}",
            names: ["tokenizer.json", "model"]),
        BrokenTokenizer(
            testDescription: "no start token", file: "vocab.json", find: "<|startoftext|>", replacement: "<|start|>",
            names: ["<|startoftext|>", "vocab_size"]),
        BrokenTokenizer(
            testDescription: "no padding", file: "special_tokens_map.json", replacement: #"{"pad_token":null}"#,
            names: ["special_tokens_map.json", "pad_token", "null"]),
        BrokenTokenizer(
            testDescription: "a number as padding", file: "special_tokens_map.json", replacement: #"{"pad_token":3}"#,
            names: ["special_tokens_map.json", "pad_token", "3"]),
        BrokenTokenizer(
            testDescription: "padding on the left", file: "tokenizer_config.json",
            replacement: #"{"padding_side":"left"}"#, names: ["tokenizer_config.json", "padding_side", "left"]),
        BrokenTokenizer(
            testDescription: "a context of nothing", file: "tokenizer_config.json",
            replacement: #"{"model_max_length":0}"#, names: ["tokenizer_config.json", "model_max_length"]),
    ]

    /// Writes the changed folder, hands its path over and takes it away again.
    func withFolder(_ body: (String) throws -> Void) throws {
        let manager = FileManager.default
        let folder = manager.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
        try manager.copyContents(atPath: "\(TokenizerFixture.folder)/\(base)", toPath: folder.path)
        defer { try? manager.removeItem(at: folder) }
        let path = folder.appendingPathComponent(file)
        var text = replacement
        if let find {
            let original = try String(contentsOf: path, encoding: .utf8)
            let range = try #require(original.range(of: find, options: .literal), "the fixture has changed")
            text = original.replacingCharacters(in: range, with: replacement)
        }
        try text.write(to: path, atomically: true, encoding: .utf8)
        try body(folder.path)
    }
}

@Suite("CLIP tokenizer, bad files")
struct TokenizerFailureTests {
    @Test("each fault is named", arguments: BrokenTokenizer.all)
    func named(broken: BrokenTokenizer) throws {
        let size = try broken.vocabularySize ?? TokenizerFixture.named(broken.base).vocabularySize
        try broken.withFolder { folder in
            let failure = try #require(throws: Failure.self) {
                try CLIPTokenizer(folder: folder, vocabularySize: size)
            }
            #expect(failure.kind == broken.kind)
            #expect(!failure.message.contains("\n"))
            #expect(failure.message.utf8.count < 500)
            for name in broken.names { #expect(failure.message.contains(name)) }
        }
    }

    @Test("a folder or a vocabulary that is not there")
    func missing() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
        let absent = try #require(throws: Failure.self) {
            try CLIPTokenizer(folder: folder.path, vocabularySize: 10)
        }
        #expect(absent.kind == .missingInput && absent.message.contains(folder.path))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let empty = try #require(throws: Failure.self) {
            try CLIPTokenizer(folder: folder.path, vocabularySize: 10)
        }
        #expect(empty.kind == .missingInput && empty.message.contains("vocab.json"))
        // A folder where a file should be must not be read as one.
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("tokenizer.json"), withIntermediateDirectories: true)
        let irregular = try #require(throws: Failure.self) {
            try CLIPTokenizer(folder: folder.path, vocabularySize: 10)
        }
        #expect(irregular.kind == .missingInput && irregular.message.contains("tokenizer.json"))
    }

    @Test("a file too large to be a tokenizer's is not read")
    func tooLarge() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("tokenizer.json").path
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let handle = try #require(FileHandle(forWritingAtPath: path))
        // Sparse: a terabyte that takes no room on the disk.
        try handle.truncate(atOffset: 1 << 40)
        try handle.close()
        let failure = try #require(throws: Failure.self) {
            try CLIPTokenizer(folder: folder.path, vocabularySize: 10)
        }
        #expect(failure.kind == .badData && failure.message.contains("1099511627776"))
    }

    @Test("damaged files are refused or read, and never crash", arguments: ["sd2/tokenizer.json", "sd1/merges.txt"])
    func damaged(file: String) throws {
        let parts = file.split(separator: "/").map(String.init)
        let size = try TokenizerFixture.named(parts[0]).vocabularySize
        let broken = BrokenTokenizer(
            testDescription: file, base: parts[0], file: parts[1], replacement: "", names: [])
        let original = [UInt8](
            try Data(contentsOf: URL(fileURLWithPath: "\(TokenizerFixture.folder)/\(file)")))
        var state: UInt64 = 1
        func random(below bound: Int) -> Int {
            // Knuth's MMIX generator.
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var refused = 0
        try broken.withFolder { folder in
            for round in 0..<100 {
                var bytes = original
                if round % 4 == 0 { bytes.removeLast(random(below: bytes.count)) }
                for _ in 0...random(below: 3) where !bytes.isEmpty {
                    bytes[random(below: bytes.count)] = UInt8(random(below: 256))
                }
                try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(parts[1])"))
                do {
                    let tokenizer = try CLIPTokenizer(folder: folder, vocabularySize: size)
                    #expect(try tokenizer.prompt("a cat", contextLength: 8).ids.count == 8)
                } catch is Failure {
                    refused += 1
                }
            }
        }
        #expect(refused > 25)
    }
}
