// Package judge asks an LLM which of two answers to the same input is better.
//
// It is the asking side of the pairwise judge: pairs go in, judgments come out,
// and somebody else records them and decides what they mean. The endpoint is
// any that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp.
//
// What it holds to:
//
//   - Each pair is asked in both orders. Two answers that disagree are a tie,
//     and an answer that cannot be read, or a refusal, is no verdict.
//   - An endpoint that is down gives no judgment at all: the pair is left for
//     the next run.
//   - The texts that are judged are strangers'. They stand between markers that
//     are random for each call, and nothing that the judge writes decides
//     anything but first, second or tie.
//   - The same judge is never asked the same texts in the same order twice: see
//     [Cache].
//   - The judge never learns which answer is whose.
package judge
