import DiffusionModels
import Failures
import Foundation
import ImageFiles
import InpaintingJobs
import PilotInpainting
import TensorKernels
import Testing

/// What results say of the jobs that made them, through the versions of the program.
@Suite struct JobRecordTests {
    private static let settings: JobSettings = {
        var settings = JobSettings(model: "m", image: "i.png", mask: "k.png", prompt: "a fox")
        settings.negativePrompt = "blurry"
        settings.method.seed = .max
        settings.size = PictureSize(width: 64, height: 48)
        settings.computation.elementType = .bfloat16
        // As words are recorded that mean the same in any syntax.
        settings.promptSyntax = nil
        return settings
    }()

    private static let record = JobRecord(
        settings: settings, fingerprints: ["i.png": "0123456789abcdef"], modelFingerprint: "fedcba9876543210")

    /// Writes a picture with a record's text, and reads the record back.
    private func read(_ text: String) throws -> JobRecord {
        let file = NSTemporaryDirectory() + "record-\(UUID().uuidString).png"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try RGBImage(width: 1, height: 1, bytes: [1, 2, 3]).writePNG(
            to: file, textChunks: [TextChunk(keyword: JobRecord.keyword, text: text)])
        return try JobRecord(fromResult: file)
    }

    @Test func isReadAsItWasWritten() throws {
        #expect(try read(Self.record.textChunk().text) == Self.record)
    }

    /// Edits before it go with a record, as this program writes them and in no other way.
    @Test func editsBefore() throws {
        var record = Self.record
        record.edits = [Self.record, Self.record]
        #expect(try read(record.textChunk().text) == record)
        var nested = Self.record
        nested.edits = [record]
        var tooMany = Self.record
        tooMany.edits = Array(repeating: Self.record, count: 101)
        var newer = Self.record
        newer.edits = [Self.record]
        newer.edits?[0].format = 2
        for (bad, words) in [(nested, "none within another"), (tooMany, "100 at most"), (newer, "layout 2")] {
            let failure = #expect(throws: Failure.self) { try read(bad.textChunk().text) }
            #expect(failure?.kind == .badData && failure?.message.contains(words) == true, "\(failure?.message ?? "")")
        }
    }

    /// The same picture is made by any number of threads, ranks, and whatever layout: so none of these is written.
    @Test func saysNothingThatDoesNotChangeThePicture() throws {
        let text = try Self.record.textChunk().text
        for word in ["thread", "rank", "layout", "replica", "stage"] { #expect(!text.contains(word)) }
    }

    /// A number, or a word.
    @Test func namesTheWebPsQuality() throws {
        for (webp, text) in [(WebPCompression.lossless, #""webp":"lossless""#), (.quality(80), #""webp":80"#)] {
            var record = Self.record
            record.settings.webp = webp
            let written = try record.textChunk().text
            #expect(written.contains(text))
            #expect(try read(written) == record)
            let bad = written.replacing(text, with: #""webp":"lossy""#)
            #expect(throws: Failure.self) { try read(bad) }
        }
    }

    /// LoRAs are a list of objects with the names of their options.
    @Test func namesLoRAs() throws {
        var record = Self.record
        record.settings.lora = [LoRAChoice("s", scale: -0.5, textScale: 0), LoRAChoice("t")]
        let text = try record.textChunk().text
        #expect(text.contains(#""lora":[{"lora":"s","lora_scale":-0.5,"lora_text_scale":0},{"lora":"t"}]"#))
        #expect(try read(text) == record)
        #expect(record.settings.modelChoice.lora == record.settings.lora)
    }

    /// A record as version 0.1.0 first wrote it, with the threads.
    @Test func oldRecordsAreRead() throws {
        let text = """
            {"fingerprints":{"i.png":"0123456789abcdef"},"format":1,"modelFingerprint":"fedcba9876543210","settings":\
            {"computation":{"backend":"onednn","elementType":"bfloat16","threads":3},"feather":4,"image":"i.png",\
            "invertsMask":false,"mask":"k.png","method":{"coherence":0.5,"crossAttentionMask":true,"gradientSteps":10,\
            "guidanceScale":7.5,"lambda":110,"lambdaArea":"square","learningRate":0.03,"maskDownsample":"nearest",\
            "momentum":0.7,"optimizeEvery":5,"seed":18446744073709551615,"selfAttentionMask":true,"steps":50,\
            "warmupLearningRate":0.007},"model":"m","negativePrompt":"blurry","pastesKeptPixels":true,"prompt":"a fox",\
            "size":{"height":48,"width":64}},"version":"0.1.0"}
            """
        #expect(try read(text) == Self.record)
        // Nothing but the threads has gone.
        let threads = #","threads":3"#
        #expect(try Self.record.textChunk().text == text.replacingOccurrences(of: threads, with: ""))
    }

    /// A record that says nothing of the syntax: its words are read as then, new ones as now.
    @Test func oldRecordsKeepTheirBrackets() throws {
        var old = JobSettings(model: "m", image: "i", mask: "k", prompt: "a fox")
        old.promptSyntax = nil
        func syntax(_ change: (inout JobDraft) -> Void) -> Bool {
            var draft = JobDraft(model: "m", repeating: old)
            draft.output = "o"
            change(&draft)
            return draft.finished().settings.promptSyntax == .a1111
        }
        #expect(!syntax { _ in })
        #expect(syntax { $0.prompt = "(a fox)" })
        #expect(syntax { $0.promptSyntax = .a1111 })
        old.prompt = "(a fox)"
        #expect(!syntax { $0.settings.negativePrompt = "(x)" })
        #expect(!syntax { $0.prompt = "[a fox]" })
        #expect(syntax { $0.promptSyntax = .a1111 })
    }

    /// Without paths a file's last name is kept, which an embedding may be called by, and every file's contents.
    @Test func embeddingsAreFoundBesideTheResult() throws {
        var settings = Self.settings
        settings.embedding = [EmbeddingChoice(file: "/a/cat.safetensors"), EmbeddingChoice(file: "b", token: "<b>")]
        let record = JobRecord(
            settings: settings, fingerprints: ["/a/cat.safetensors": "1", "b": "2"], modelFingerprint: "3")
        let bare = record.withoutPaths()
        #expect(
            bare.settings.embedding == [
                EmbeddingChoice(file: "cat.safetensors"), EmbeddingChoice(file: "b", token: "<b>"),
            ])
        #expect(bare.fingerprints == ["embedding": "1", "embedding-2": "2"])
        #expect(try read(record.textChunk().text) == record)
    }
}
